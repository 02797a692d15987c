"""IVLP: independent deep prompts, equal to MaPLe where its couplings say so and to plain CLIP without prompts."""

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
from promptarena.methods.ivlp import IVLP, IVLPConfig
from promptarena.methods.maple import MaPLe, MaPLeConfig
from promptarena.methods.zeroshot import ZeroShot, ZeroShotConfig

CLASSES = Classes(("red fox", "zebra", "great barn owl"), "art of the {}.")
IMAGES = PixelBatch(tiny.pixels(4), tiny.backbone())
LABELS = torch.tensor([0, 1, 2, 1])


def ivlp(seed: int = 0, **config: Any) -> IVLP:
    settings = {"prompt_depth_text": 3, "prompt_depth_vision": 3} | config
    return IVLP(tiny.backbone(), IVLPConfig(**settings), CLASSES, torch.Generator().manual_seed(seed))


def zeroshot(template: str) -> ZeroShot:
    return ZeroShot(tiny.backbone(), ZeroShotConfig(templates=(template,)), CLASSES, torch.Generator())


@torch.no_grad()
def text(learner: Any) -> Tensor:
    found: Tensor = learner.text_features(learner.prompts(CLASSES))
    return found


@torch.no_grad()
def image(learner: Any) -> Tensor:
    found: Tensor = learner.image_features(IMAGES)
    return found


@torch.no_grad()
def logits(learner: Any) -> Tensor:
    found: Tensor = learner.logits(IMAGES, learner.classifier(learner.prompts(CLASSES)))
    return found


def close(one: Tensor, other: Tensor, relative: float = 1e-5) -> bool:
    return bool((one - other).abs().max() <= relative * other.abs().max())


@pytest.mark.parametrize("n_ctx", [1, 2, 3, 4])
def test_with_one_text_layer_and_no_vision_prompt_it_starts_as_zero_shot(n_ctx: int) -> None:
    learner = ivlp(n_ctx_text=n_ctx, prompt_depth_text=1, prompt_depth_vision=0)
    assert close(logits(learner), logits(zeroshot("a photo of a {}.")))


def test_without_vision_prompts_images_are_known_by_their_frozen_features() -> None:
    learner = ivlp(prompt_depth_vision=0)
    given: Any = tiny.Given(IMAGES.features)
    assert torch.equal(learner.image_features(given), IMAGES.features)
    assert not list(learner.vision_prompts)
    _, losses = learner.training_step(given, LABELS, learner.prompts(CLASSES))
    losses["cross_entropy"].backward()
    assert all(prompt.grad is not None and prompt.grad.any() for prompt in learner.text_prompts)


def test_words_beyond_the_prompt_tokens_stay_in_the_prompt() -> None:
    learner, backbone = ivlp(n_ctx_text=2, prompt_depth_text=1), tiny.backbone()
    with torch.no_grad():
        learner.text_prompts[0].copy_(backbone.embed(backbone.tokenize(["big dog"])).embeddings[0, 1:3])
    assert close(text(learner), text(zeroshot("big dog of a {}.")))


@pytest.mark.parametrize(("n_ctx", "words"), [(5, "a photo of a"), (2, "")])
def test_without_words_or_beyond_four_tokens_prompts_are_drawn(n_ctx: int, words: str) -> None:
    learner = ivlp(n_ctx_text=n_ctx, ctx_init=words, prompt_depth_text=1)
    assert learner.text_prompts[0].shape == (n_ctx, 32)
    assert 0 < float(learner.text_prompts[0].detach().std()) < 0.05
    assert not torch.equal(learner.text_prompts[0], ivlp(1, n_ctx_text=n_ctx, ctx_init=words).text_prompts[0])
    backbone = tiny.backbone()
    placeholders = " ".join(["X"] * n_ctx)
    with torch.no_grad():
        learner.text_prompts[0].copy_(backbone.embed(backbone.tokenize([placeholders])).embeddings[0, 1 : 1 + n_ctx])
    assert close(text(learner), text(zeroshot(f"{placeholders} {{}}.")))


def test_deep_text_prompts_that_repeat_what_they_replace_change_nothing() -> None:
    learner, backbone = ivlp(), tiny.backbone()
    shallow = ivlp(prompt_depth_text=1)
    assert not close(text(learner), text(shallow), 1e-3)
    with torch.no_grad():
        prompts = learner.prompts(CLASSES)
        for block in (1, 2):
            rows = backbone.text_tokens(prompts, stop=block)[:, 1:3]
            assert close(rows, rows[:1].expand(3, -1, -1))
            learner.text_prompts[block].copy_(rows[0])
    assert close(text(learner), text(shallow), 1e-4)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_text_prompts_take_the_rows_after_the_start_token(depth: int) -> None:
    learner, backbone = ivlp(n_ctx_text=4, prompt_depth_text=depth), tiny.backbone()
    with torch.no_grad():
        for prompt in learner.text_prompts:
            prompt.mul_(50)
        plain = learner.prompts(CLASSES)
        embeddings = plain.embeddings.clone()
        embeddings[:, 1:5] = learner.text_prompts[0]
        tokens = embeddings + backbone.model.positional_embedding[: embeddings.shape[1]]
        for block in range(3):
            if 0 < block < depth:
                tokens[:, 1:5] = learner.text_prompts[block]
            tokens = backbone.text.run(tokens, start=block, stop=block + 1)
        assert close(text(learner), backbone.project_text(tokens[torch.arange(3), plain.eot]), 2e-5)


def test_vision_prompts_have_no_order_but_text_prompts_have() -> None:
    learner, permuted = (ivlp(n_ctx_text=3, n_ctx_vision=3) for _ in range(2))
    with torch.no_grad():
        for prompt in permuted.parameters():
            prompt.copy_(prompt[[2, 0, 1]].clone())
    assert close(image(permuted), image(learner))
    assert not close(text(permuted), text(learner), 1e-3)


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_a_prompt_acts_on_its_own_tower_alone(layer: int) -> None:
    before, learner = ivlp(), ivlp()
    with torch.no_grad():
        learner.text_prompts[layer].neg_()
    assert torch.equal(image(learner), image(before))
    assert not close(text(learner), text(before), 1e-3)
    learner = ivlp()
    with torch.no_grad():
        learner.vision_prompts[layer].neg_()
    assert torch.equal(text(learner), text(before))
    assert not close(image(learner), image(before), 1e-3)


@pytest.mark.parametrize("n_ctx", [2, 4])
def test_with_the_projected_prompts_of_maple_it_is_maple(n_ctx: int) -> None:
    config = MaPLeConfig(n_ctx=n_ctx, prompt_depth=3)
    maple = MaPLe(tiny.backbone(), config, CLASSES, torch.Generator().manual_seed(3))
    learner = ivlp(n_ctx_text=n_ctx, n_ctx_vision=n_ctx)
    with torch.no_grad():
        for layer in range(3):
            maple.p[layer].mul_(-20)
            learner.text_prompts[layer].copy_(maple.p[layer])
            learner.vision_prompts[layer].copy_(maple.f[layer](maple.p[layer]))
    assert torch.equal(logits(learner), logits(maple))
    assert not close(logits(learner), logits(ivlp(n_ctx_text=n_ctx, n_ctx_vision=n_ctx)), 1e-3)


def test_one_class_does_not_feel_the_length_of_another() -> None:
    learner = ivlp()
    longer = Classes((*CLASSES.names, "a class with a rather long name"), CLASSES.template)
    with torch.no_grad():
        assert close(learner.text_features(learner.prompts(longer))[:3], text(learner))


def test_its_parameters_are_the_prompts_of_each_layer() -> None:
    learner = ivlp(n_ctx_text=4, n_ctx_vision=5, prompt_depth_text=2)
    shapes = {name: tuple(parameter.shape) for name, parameter in learner.named_parameters()}
    assert shapes == {f"text_prompts.{layer}": (4, 32) for layer in range(2)} | {
        f"vision_prompts.{layer}": (5, 48) for layer in range(3)
    }
    drawn = torch.cat([learner.text_prompts[1].flatten(), *(prompt.flatten() for prompt in learner.vision_prompts)])
    assert float(drawn.detach().std()) == pytest.approx(0.02, rel=0.1)
    assert not torch.equal(learner.vision_prompts[1], learner.vision_prompts[2])


def test_it_needs_enough_layers_words_and_room() -> None:
    with pytest.raises(UserError, match="prompt_depth_text 4 exceeds the backbone's 3 layers"):
        ivlp(prompt_depth_text=4)
    with pytest.raises(UserError, match="prompt_depth_vision 12 exceeds the backbone's 3 layers"):
        ivlp(prompt_depth_vision=12)
    with pytest.raises(ValidationError, match="ctx_init has 1 words for n_ctx_text = 2"):
        IVLPConfig(ctx_init="photo")
    with pytest.raises(UserError, match="exceeds the context of 24"):
        ivlp(n_ctx_text=30).prompts(CLASSES)


def test_only_vision_prompts_need_a_vision_transformer() -> None:
    configuration = tiny.config(image_size=32)
    configuration["vision_cfg"] = {"image_size": 32, "layers": [1, 1, 1, 1], "width": 16}
    backbone = tiny.wrapped(CLIP(**configuration))
    with pytest.raises(UserError, match="use a CLIP ViT"):
        IVLP(backbone, IVLPConfig(prompt_depth_text=3, prompt_depth_vision=1), CLASSES, torch.Generator())
    learner = IVLP(backbone, IVLPConfig(prompt_depth_text=3, prompt_depth_vision=0), CLASSES, torch.Generator())
    assert learner.image_features(PixelBatch(tiny.pixels(2, size=32), backbone)).shape == (2, 20)


def test_the_preset_is_the_released_one() -> None:
    config, recipe = IVLP.preset(tiny.training_task("base-to-novel", 16))
    assert config == IVLPConfig(
        n_ctx_text=2, n_ctx_vision=2, ctx_init="a photo of a", prompt_depth_text=12, prompt_depth_vision=12
    )
    assert (recipe.epochs, recipe.lr, recipe.batch_size, recipe.warmup_lr) == (5, 0.0035, 4, 1e-5)
