"""The backbone: plain CLIP when nobody steps in, and exactly the stepping in that was asked for."""

from typing import Any

import pytest
import tiny
import torch
from clip_models import BLOCKS, close, towers
from golden import model_with_drawn_weights
from open_clip import CLIP
from open_clip.tokenizer import SimpleTokenizer

from promptarena.benchmark.backbone.clip import Backbone, Prompts
from promptarena.benchmark.backbone.interventions import Interventions
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.inputs.views import PixelBatch, View

GOLDEN = {
    "embed_dim": 32,
    "image_resolution": 32,
    "vision_layers": 2,
    "vision_width": 128,
    "vision_patch_size": 16,
    "context_length": 77,
    "vocab_size": 49408,
    "transformer_width": 64,
    "transformer_layers": 2,
}
MODELS = {
    "golden style": lambda: model_with_drawn_weights(3, GOLDEN),
    "GELU": lambda: tiny.model(tiny.config()),
    "QuickGELU, other widths and heads": lambda: tiny.model(
        tiny.config(vision=(32, 4), text=(60, 5), layers=2, context_length=77, quick_gelu=True)
    ),
}
TEXTS = ["a photo of a zebra.", "owl", "a drawing of a red panda in a bamboo forest"]


@pytest.mark.parametrize("name", MODELS)
def test_untouched_it_is_open_clips_own_model(name: str) -> None:
    clip = MODELS[name]()
    backbone = tiny.wrapped(clip)
    pixels = tiny.pixels(3, backbone.image_size)
    ids = SimpleTokenizer(context_length=backbone.context_length)(TEXTS)
    with torch.no_grad():
        assert close(backbone.encode_image(pixels), clip.encode_image(pixels))
        assert close(backbone.encode_text(backbone.embed(backbone.tokenize(TEXTS))), clip.encode_text(ids))
        assert float(backbone.scale) == pytest.approx(float(clip.logit_scale.exp()))


def test_text_is_cut_after_the_last_end_without_changing_it() -> None:
    backbone = tiny.backbone()
    cut = backbone.tokenize(TEXTS)
    whole = SimpleTokenizer(context_length=backbone.context_length)(TEXTS)
    assert cut.shape[1] == int(whole.argmax(-1).max()) + 1 < whole.shape[1]
    assert torch.equal(cut, whole[:, : cut.shape[1]])
    assert close(backbone.encode_text(backbone.embed(cut)), backbone.encode_text(backbone.embed(whole)), 1e-6)


def test_what_stands_after_the_end_of_text_is_never_read() -> None:
    backbone = tiny.backbone()
    prompts = backbone.embed(backbone.tokenize(TEXTS))
    disturbed = prompts.embeddings.clone().requires_grad_()
    features = backbone.encode_text(Prompts(disturbed, prompts.eot))
    features.square().sum().backward()
    assert disturbed.grad is not None
    for row, eot in enumerate(prompts.eot.tolist()):
        assert not disturbed.grad[row, eot + 1 :].any()
        assert disturbed.grad[row, : eot + 1].abs().sum(-1).all()


def test_prompts_need_an_end_for_each() -> None:
    with pytest.raises(ValueError, match="2 prompts but 1"):
        Prompts(torch.zeros(2, 5, 4), torch.tensor([3]))


def test_shared_rows_change_no_text_feature() -> None:
    backbone = tiny.backbone()
    plain = backbone.embed(backbone.tokenize(["a photo of a zebra.", "a photo of a barn owl.", "a photo of an ox."]))
    for shared in range(1, 5):
        found = backbone.encode_text(Prompts(plain.embeddings, plain.eot, shared))
        assert close(found, backbone.encode_text(plain))
    length = plain.embeddings.shape[1]
    bias = {1: torch.randn(backbone.text.heads, length, length, generator=torch.Generator().manual_seed(3))}
    biased = backbone.encode_text(Prompts(plain.embeddings, plain.eot, 3), bias=bias)
    assert torch.equal(biased, backbone.encode_text(plain, bias=bias))


def test_a_bias_differs_from_image_to_image_when_asked() -> None:
    tower, tokens = towers()[0]
    bias = torch.randn(2, tower.heads, 7, 7, generator=torch.Generator().manual_seed(6))
    together = tower.run(tokens, interventions=Interventions(bias={0: bias}))
    for row in range(2):
        own = Interventions(bias={0: bias[row]})
        assert close(together[row], tower.run(tokens[row : row + 1], interventions=own)[0])


def test_text_stays_causal_under_a_bias() -> None:
    tower, tokens = towers()[1]
    biased = Interventions(bias={block: torch.randn(tower.heads, 7, 7) for block in range(tower.depth)})
    changed = tokens.clone()
    changed[:, 4:] += 1
    one, other = tower.run(tokens, interventions=biased), tower.run(changed, interventions=biased)
    assert torch.equal(one[:, :4], other[:, :4])
    assert not close(one[:, 4:], other[:, 4:], 1e-2)


def test_the_backbone_is_frozen_but_lets_gradients_through() -> None:
    clip = tiny.model()
    backbone = tiny.wrapped(clip)
    prompts = backbone.embed(backbone.tokenize(TEXTS))
    given = prompts.embeddings.clone().requires_grad_()
    backbone.encode_text(Prompts(given, prompts.eot)).sum().backward()
    assert given.grad is not None
    assert not clip.training
    assert all(not parameter.requires_grad and parameter.grad is None for parameter in clip.parameters())


def test_prompts_at_the_input_pass_the_first_layer_norm() -> None:
    backbone = tiny.backbone()
    visual: Any = backbone.model.visual
    extra = torch.randn(2, visual.class_embedding.shape[0])
    tokens = backbone.image_tokens(
        tiny.pixels(3), at_input=lambda x: torch.cat([x, extra.expand(len(x), -1, -1)], dim=1)
    )
    assert torch.equal(tokens[:, -2:], visual.ln_pre(extra).expand(3, -1, -1))
    assert torch.equal(tokens[:, :-2], backbone.image_tokens(tiny.pixels(3)))


@pytest.mark.parametrize("block", BLOCKS)
def test_frozen_tokens_are_those_in_front_of_the_block(block: int, tmp_path: Any) -> None:
    backbone, drawings = tiny.backbone(), tiny.Drawings(["a", "b", "c"])
    view = View(drawings, backbone, tiny.cache(tmp_path))
    batch = PixelBatch(view.pixels([2, 0]), backbone)
    expected = backbone.image_tokens(view.pixels([2, 0]), stop=block)
    assert close(batch.tokens_at(block), expected)
    assert close(view.tokens_at(block, [2, 0]), expected)
    assert close(backbone.image_features_from(batch.tokens_at(block), start=block), batch.features)


def test_a_residual_network_encodes_but_has_no_tokens() -> None:
    configuration = tiny.config(image_size=32)
    configuration["vision_cfg"] = {"image_size": 32, "layers": [1, 1, 1, 1], "width": 16}
    clip = CLIP(**configuration).eval()
    backbone = tiny.wrapped(clip)
    pixels = tiny.pixels(2, 32)
    assert torch.equal(backbone.encode_image(pixels), clip.encode_image(pixels))
    with pytest.raises(UserError, match="no token sequence"):
        _ = backbone.vision


def test_mixed_precision_stays_near_full_precision() -> None:
    full: Backbone = tiny.backbone()
    half = tiny.backbone(precision="bf16")
    with half.autocast():
        mixed = half.encode_image(tiny.pixels(2))
    assert mixed.dtype is torch.bfloat16
    assert close(mixed.float(), full.encode_image(tiny.pixels(2)), 0.05)
    assert PixelBatch(tiny.pixels(2), half).features.dtype is torch.float32


def test_groups_of_prompts_share_their_own_beginnings() -> None:
    backbone, groups = tiny.backbone(), 3
    plain = backbone.embed(backbone.tokenize(["a photo of a red fox.", "a photo of a wren."]))
    random = torch.Generator().manual_seed(0)
    beginnings = torch.randn(groups, 1, 3, backbone.text.width, generator=random)
    embeddings = plain.embeddings.expand(groups, -1, -1, -1).clone()
    embeddings[:, :, 1:4] = beginnings
    flat, eot = embeddings.flatten(0, 1), plain.eot.repeat(groups)
    whole = backbone.encode_text(Prompts(flat, eot))
    grouped = backbone.encode_text(Prompts(flat, eot, shared=4, groups=groups))
    torch.testing.assert_close(grouped, whole, rtol=1e-5, atol=1e-6)


def test_prompts_are_equally_long_groups() -> None:
    with pytest.raises(ValueError, match="equally long groups"):
        Prompts(torch.zeros(3, 4, 8), torch.ones(3, dtype=torch.int64), shared=1, groups=2)
