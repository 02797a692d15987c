"""MaPLe: coupled deep prompts, placed where the paper and its released code place them."""

from typing import Any

import pytest
import tiny
import torch
from open_clip import CLIP
from pydantic import ValidationError
from torch import Tensor

from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.inputs.views import PixelBatch
from promptarena.methods.maple import MaPLe, MaPLeConfig
from promptarena.methods.zeroshot import ZeroShot, ZeroShotConfig

CLASSES = Classes(("red fox", "zebra", "great barn owl"), "art of the {}.")
IMAGES = PixelBatch(tiny.pixels(4), tiny.backbone())
LABELS = torch.tensor([0, 1, 2, 1])


def maple(seed: int = 0, **config: Any) -> MaPLe:
    settings = {"prompt_depth": 3} | config
    return MaPLe(tiny.backbone(), MaPLeConfig(**settings), CLASSES, torch.Generator().manual_seed(seed))


@torch.no_grad()
def text(learner: Any) -> Tensor:
    found: Tensor = learner.text_features(learner.prompts(CLASSES))
    return found


@torch.no_grad()
def image(learner: MaPLe) -> Tensor:
    return learner.image_features(IMAGES)


def plain_text(template: str) -> Tensor:
    return text(ZeroShot(tiny.backbone(), ZeroShotConfig(templates=(template,)), CLASSES, torch.Generator()))


def close(one: Tensor, other: Tensor, relative: float = 1e-5) -> bool:
    return bool((one - other).abs().max() <= relative * other.abs().max())


@pytest.mark.parametrize("n_ctx", [1, 2, 3, 4])
def test_with_one_layer_the_text_starts_as_zero_shot(n_ctx: int) -> None:
    learner = maple(n_ctx=n_ctx, prompt_depth=1)
    assert close(text(learner), plain_text("a photo of a {}."))
    assert not close(image(learner), IMAGES.features, 1e-3)


def test_words_beyond_the_prompt_tokens_stay_in_the_prompt() -> None:
    learner, backbone = maple(n_ctx=2, prompt_depth=1), tiny.backbone()
    with torch.no_grad():
        learner.p[0].copy_(backbone.embed(backbone.tokenize(["big dog"])).embeddings[0, 1:3])
    assert close(text(learner), plain_text("big dog of a {}."))


def test_more_than_four_tokens_are_drawn() -> None:
    learner = maple(n_ctx=5, prompt_depth=2)
    assert learner.phrase == "X X X X X"
    assert float(learner.p[0].detach().std()) < 0.05
    assert not torch.equal(learner.p[0], maple(seed=1, n_ctx=5, prompt_depth=2).p[0])
    assert close(text(learner), text(maple(n_ctx=5, prompt_depth=2, ctx_init="")))


def test_deep_prompts_that_repeat_what_they_replace_change_nothing() -> None:
    """Rows 0 .. n see no class name, so one value serves all classes."""
    learner, backbone = maple(n_ctx=2), tiny.backbone()
    shallow = maple(n_ctx=2, prompt_depth=1)
    assert not close(text(learner), text(shallow), 1e-3)
    with torch.no_grad():
        prompts = learner.prompts(CLASSES)
        for block in (1, 2):
            rows = backbone.text_tokens(prompts, stop=block)[:, 1:3]
            assert close(rows, rows[:1].expand(3, -1, -1))
            learner.p[block].copy_(rows[0])
    assert close(text(learner), text(shallow), 1e-4)


def test_deep_couplings_start_equal_and_part_in_the_first_step() -> None:
    learner = maple()
    first, *deep = learner.f
    assert torch.equal(deep[0].weight, deep[1].weight)
    assert torch.equal(deep[0].bias, deep[1].bias)
    assert not torch.equal(first.weight, deep[0].weight)
    optimizer = torch.optim.SGD(learner.parameters(), lr=0.1)
    _, losses = learner.training_step(IMAGES, LABELS, learner.prompts(CLASSES))
    losses["cross_entropy"].backward()
    optimizer.step()
    assert not torch.equal(deep[0].weight, deep[1].weight)


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_a_coupling_acts_on_images_and_a_prompt_on_both(layer: int) -> None:
    before, learner = maple(), maple()
    with torch.no_grad():
        learner.f[layer].weight.neg_()
    assert torch.equal(text(learner), text(before))
    assert not close(image(learner), image(before), 1e-3)
    learner = maple()
    with torch.no_grad():
        learner.p[layer].neg_()
    assert not close(text(learner), text(before), 1e-3)
    assert not close(image(learner), image(before), 1e-3)


def test_vision_prompts_have_no_order() -> None:
    learner, permuted = maple(n_ctx=3), maple(n_ctx=3)
    with torch.no_grad():
        for prompt in permuted.p:
            prompt.copy_(prompt[[2, 0, 1]].clone())
    assert close(image(permuted), image(learner))
    assert not close(text(permuted), text(learner), 1e-3)


def test_vision_prompts_are_projections_appended_after_the_patches() -> None:
    """The vision branch spelled out: first through the input's layer norm, then in place of the last rows."""
    learner, backbone = maple(n_ctx=2), tiny.backbone()
    with torch.no_grad():
        own = [prompt @ layer.weight.T + layer.bias for prompt, layer in zip(learner.p, learner.f, strict=True)]
        first = backbone.model.visual.ln_pre(own[0]).expand(4, -1, -1)
        tokens = torch.cat([IMAGES.tokens_at(0), first], dim=1)
        for block in range(3):
            if block:
                tokens = torch.cat([tokens[:, :-2], own[block].expand(4, -1, -1)], dim=1)
            tokens = backbone.vision.run(tokens, start=block, stop=block + 1)
        assert tokens.shape[1] == 1 + 4 + 2
        assert close(image(learner), backbone.project_image(tokens[:, 0]))


def parameters(n_ctx: int, depth: int, text_width: int, vision_width: int) -> int:
    return depth * (n_ctx * text_width + text_width * vision_width + vision_width)


@pytest.mark.parametrize(("n_ctx", "depth"), [(2, 3), (4, 1)])
def test_it_has_the_published_number_of_parameters(n_ctx: int, depth: int) -> None:
    learner = maple(n_ctx=n_ctx, prompt_depth=depth)
    assert sum(parameter.numel() for parameter in learner.parameters()) == parameters(n_ctx, depth, 32, 48)
    assert (parameters(2, 9, 512, 768), parameters(2, 3, 512, 768)) == (3_555_072, 1_185_024)


def test_one_class_does_not_feel_the_length_of_another() -> None:
    learner = maple()
    longer = Classes((*CLASSES.names, "a class with a rather long name"), CLASSES.template)
    with torch.no_grad():
        assert close(learner.text_features(learner.prompts(longer))[:3], text(learner))


def test_it_needs_enough_layers_words_and_a_transformer() -> None:
    with pytest.raises(UserError, match="prompt_depth 4 exceeds the backbone's 3 layers"):
        maple(prompt_depth=4)
    with pytest.raises(ValidationError, match="ctx_init has 1 words for n_ctx = 2"):
        MaPLeConfig(ctx_init="photo")
    configuration = tiny.config(image_size=32)
    configuration["vision_cfg"] = {"image_size": 32, "layers": [1, 1, 1, 1], "width": 16}
    with pytest.raises(UserError, match="use a CLIP ViT"):
        MaPLe(tiny.wrapped(CLIP(**configuration)), MaPLeConfig(prompt_depth=1), CLASSES, torch.Generator())


@pytest.mark.parametrize(
    ("protocol", "depth", "epochs", "lr"),
    [
        ("base-to-novel", 9, 5, 0.0035),
        ("cross-dataset", 3, 2, 0.0026),
        ("domain-generalization", 3, 2, 0.0026),
    ],
)
def test_presets_are_the_released_ones(protocol: Any, depth: int, epochs: int, lr: float) -> None:
    config, recipe = MaPLe.preset(tiny.training_task(protocol, 16, protocol != "base-to-novel"))
    assert config == MaPLeConfig(n_ctx=2, ctx_init="a photo of a", prompt_depth=depth)
    assert (recipe.epochs, recipe.lr, recipe.batch_size, recipe.warmup_lr) == (epochs, lr, 4, 1e-5)
