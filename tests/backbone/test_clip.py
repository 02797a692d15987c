"""The backbone: plain CLIP when nobody steps in, and exactly the stepping in that was asked for."""

from typing import Any

import pytest
import tiny
import torch
from golden import model_with_drawn_weights
from open_clip import CLIP
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor

from promptarena.benchmark.backbone.clip import Backbone, Prompts
from promptarena.benchmark.backbone.interventions import Interventions
from promptarena.benchmark.backbone.towers import Tower
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
BLOCKS = range(4)


def close(actual: Tensor, expected: Tensor, relative: float = 1e-5) -> bool:
    return bool((actual - expected).abs().max() <= relative * expected.abs().max())


def towers() -> list[tuple[Tower, Tensor]]:
    """Both towers of the tiny model, each with tokens to run."""
    backbone = tiny.backbone()
    tokens = torch.randn(2, 7, backbone.vision.width, generator=torch.Generator().manual_seed(1))
    texts = torch.randn(2, 7, backbone.text.width, generator=torch.Generator().manual_seed(2))
    return [(backbone.vision, tokens), (backbone.text, texts)]


both = pytest.mark.parametrize(("tower", "tokens"), towers(), ids=["vision", "text"])


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


def test_text_is_cut_behind_the_last_end_without_changing_it() -> None:
    backbone = tiny.backbone()
    cut = backbone.tokenize(TEXTS)
    whole = SimpleTokenizer(context_length=backbone.context_length)(TEXTS)
    assert cut.shape[1] == int(whole.argmax(-1).max()) + 1 < whole.shape[1]
    assert torch.equal(cut, whole[:, : cut.shape[1]])
    assert close(backbone.encode_text(backbone.embed(cut)), backbone.encode_text(backbone.embed(whole)), 1e-6)


def test_what_stands_behind_the_end_of_text_is_never_read() -> None:
    backbone = tiny.backbone()
    prompts = backbone.embed(backbone.tokenize(TEXTS))
    disturbed = prompts.embeddings.clone().requires_grad_()
    features = backbone.encode_text(Prompts(disturbed, prompts.eot))
    features.square().sum().backward()
    assert disturbed.grad is not None
    for row, eot in enumerate(prompts.eot.tolist()):
        assert not disturbed.grad[row, eot + 1 :].any()
        assert disturbed.grad[row, : eot + 1].abs().sum(-1).all()


def test_a_text_beyond_the_context_is_refused_by_name() -> None:
    backbone = tiny.backbone()
    long = "owl " * 23
    with pytest.raises(UserError, match="25 tokens exceeds the context of 24"):
        backbone.tokenize(["owl", long])
    assert backbone.tokenize(["owl " * 22]).shape[1] == 24
    with pytest.raises(UserError, match="25 tokens exceed"):
        backbone.text_tokens(Prompts(torch.zeros(1, 25, backbone.text.width), torch.tensor([3])))


def test_prompts_need_an_end_for_each() -> None:
    with pytest.raises(ValueError, match="2 prompts but 1"):
        Prompts(torch.zeros(2, 5, 4), torch.tensor([3]))


@both
def test_identity_edits_change_nothing(tower: Tower, tokens: Tensor) -> None:
    edits = Interventions(edits={block: lambda x: x for block in range(tower.depth)})
    assert torch.equal(tower.run(tokens, interventions=edits), tower.run(tokens))


@both
@pytest.mark.parametrize("block", BLOCKS)
def test_reading_at_a_block_and_going_on_is_the_whole(tower: Tower, tokens: Tensor, block: int) -> None:
    edits = Interventions(edits={index: lambda x: x * 1.5 for index in range(tower.depth)})
    read = tower.run(tokens, stop=block, interventions=edits)
    assert torch.equal(tower.run(read, start=block, interventions=edits), tower.run(tokens, interventions=edits))
    assert torch.equal(tower.run(tokens, start=tower.depth), tokens)


@both
@pytest.mark.parametrize("block", range(3))
def test_an_edit_acts_in_front_of_its_block_once(tower: Tower, tokens: Tensor, block: int) -> None:
    seen: list[Tensor] = []

    def replace(x: Tensor) -> Tensor:
        seen.append(x)
        return tokens + 1

    edited = tower.run(tokens, interventions=Interventions(edits={block: replace}))
    assert len(seen) == 1
    assert torch.equal(seen[0], tower.run(tokens, stop=block))
    assert torch.equal(edited, tower.run(tokens + 1, start=block))


@both
@pytest.mark.parametrize("block", range(3))
def test_an_edit_may_change_the_number_of_tokens(tower: Tower, tokens: Tensor, block: int) -> None:
    longer = tower.run(tokens, interventions=Interventions(edits={block: lambda x: torch.cat([x, x[:, :2]], dim=1)}))
    shorter = tower.run(tokens, interventions=Interventions(edits={block: lambda x: x[:, :-1]}))
    assert (longer.shape[1], shorter.shape[1]) == (9, 6)
    kept = torch.equal(longer[:, :1], tower.run(tokens)[:, :1])
    assert close(shorter, tower.run(tokens)[:, :-1]) == tower.causal
    assert kept == tower.causal or close(longer[:, :7], tower.run(tokens)) == tower.causal


def naive_block(tower: Tower, index: int, x: Tensor, bias: Tensor) -> Tensor:
    """A pre-norm block with attention written out head by head; bias (heads, L, L)."""
    block: Any = tower.blocks[index]
    normed = block.ln_1(x)
    q, k, v = (normed @ block.attn.in_proj_weight.T + block.attn.in_proj_bias).chunk(3, dim=-1)
    size, length = tower.width // tower.heads, x.shape[1]
    mixed = []
    for head in range(tower.heads):
        own = slice(head * size, (head + 1) * size)
        scores = q[..., own] @ k[..., own].transpose(1, 2) * size**-0.5 + bias[head]
        if tower.causal:
            later = torch.ones(length, length, dtype=torch.bool).triu(1)
            scores = scores.masked_fill(later, float("-inf"))
        mixed.append(scores.softmax(-1) @ v[..., own])
    x = x + block.attn.out_proj(torch.cat(mixed, dim=-1))
    return x + block.mlp(block.ln_2(x))


@both
def test_a_zero_bias_is_none(tower: Tower, tokens: Tensor) -> None:
    zero = Interventions(bias={block: torch.zeros(1, tower.heads, 7, 7) for block in range(tower.depth)})
    assert close(tower.run(tokens, interventions=zero), tower.run(tokens))


@both
def test_a_bias_acts_on_its_own_head_and_block(tower: Tower, tokens: Tensor) -> None:
    only_itself = torch.zeros(tower.heads, 7, 7)
    only_itself[1] = torch.full((7, 7), float("-inf")).fill_diagonal_(0)
    drawn = torch.randn(tower.heads, 7, 7, generator=torch.Generator().manual_seed(5))
    for bias in (only_itself, drawn):
        biased = tower.run(tokens, stop=2, interventions=Interventions(bias={1: bias[None]}))
        expected = naive_block(tower, 1, naive_block(tower, 0, tokens, torch.zeros_like(bias)), bias)
        assert close(biased, expected)
        assert not close(biased, tower.run(tokens, stop=2), 1e-3)


@pytest.mark.parametrize("start", [0, 1, 3])
@pytest.mark.parametrize("shared", [1, 3])
@pytest.mark.parametrize("ends", [(0, 0, 0), (3, 0, 2), (1, 3, 3)])
def test_a_common_beginning_passes_the_tower_once_with_the_same_result(
    ends: tuple[int, ...], shared: int, start: int
) -> None:
    tower, tokens = towers()[1]
    tokens = tokens[[0, 1, 0]] * torch.tensor([1.0, 1.0, 0.5])[:, None, None]
    tokens = torch.cat([tokens[:1, :shared].expand(3, -1, -1), tokens[:, shared:]], dim=1).requires_grad_()
    seen: list[int] = []

    def edit(x: Tensor) -> Tensor:
        seen.append(len(x))
        return torch.cat([x[:, :shared] * 1.5, x[:, shared:]], dim=1)

    edits, rows = Interventions(edits={0: edit, 2: edit}), torch.tensor(ends)
    whole = tower.run(tokens, start=start, interventions=edits)[torch.arange(3), rows + shared]
    asked = len(seen)
    found = tower.read_after(tokens[:1, :shared], tokens[:, shared:], rows, start=start, interventions=edits)
    assert seen[asked:] == [1] * asked
    assert close(found, whole)
    (expected_slope,) = torch.autograd.grad(whole.square().sum(), tokens)
    (slope,) = torch.autograd.grad(found.square().sum(), tokens)
    assert close(slope[:, shared:], expected_slope[:, shared:])
    assert close(slope[0, :shared], expected_slope[:, :shared].sum(0))


@pytest.mark.parametrize("tower", [0, 1])
@pytest.mark.parametrize("start", [0, 1, 2, 3])
def test_reading_some_rows_is_reading_all_and_picking(tower: int, start: int) -> None:
    one, tokens = towers()[tower]
    assert one.depth == 3
    edits = {2: lambda x: torch.cat([x[:, :1], x[:, :1] * 2, x[:, 1:]], dim=1)}
    bias = {block: torch.randn(1, one.heads, 8, 8, generator=torch.Generator().manual_seed(block)) for block in (2,)}
    for rows in (torch.tensor([[0]]), torch.tensor([[-1, 2, 0], [5, -7, 1]])):
        for used in ({}, bias):
            interventions = Interventions(edits=edits, bias=used)
            whole = one.run(tokens, start=start, interventions=interventions)
            places = (rows % whole.shape[1]).expand(len(whole), -1)
            expected = whole.gather(1, places[..., None].expand(-1, -1, one.width))
            assert close(one.read(tokens, rows, start=start, interventions=interventions), expected)


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


def test_only_a_causal_tower_can_share_a_beginning() -> None:
    tower, tokens = towers()[0]
    with pytest.raises(ValueError, match="only a causal tower"):
        tower.read_after(tokens[:1, :2], tokens[:, 2:], torch.tensor([0, 1]))


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
