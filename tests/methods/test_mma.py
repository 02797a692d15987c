"""MMA: a scaled branch beside the upper blocks, whose own gradients are not scaled."""

from typing import Any

import pytest
import tiny
import torch
from torch import Tensor

from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.inputs.views import PixelBatch
from promptarena.methods.mma import MMA, MMAConfig
from promptarena.methods.zeroshot import ZeroShot, ZeroShotConfig

CLASSES = Classes(("red fox", "zebra", "great barn owl"), "art of the {}.")
LABELS = torch.tensor([0, 1, 2, 1])


def images() -> PixelBatch:
    return PixelBatch(tiny.pixels(4), tiny.backbone())


def mma(**config: Any) -> MMA:
    settings = {"first_layer": 2, "last_layer": 3, "width": 8, **config}
    return MMA(tiny.backbone(), MMAConfig(**settings), CLASSES, torch.Generator().manual_seed(0))


def logits(learner: Any) -> Tensor:
    return learner.logits(images(), learner.classifier(learner.prompts(CLASSES)))


def test_without_scale_it_is_zero_shot_clip_with_its_own_template() -> None:
    plain = ZeroShot(tiny.backbone(), ZeroShotConfig(templates=("a photo of a {}.",)), CLASSES, torch.Generator())
    assert torch.allclose(logits(mma(scale=1e-12)), logits(plain), atol=1e-4)
    assert not torch.allclose(logits(mma(scale=0.1)), logits(plain), atol=1e-2)


def test_gradients_of_adapters_are_the_derivatives_divided_by_the_scale() -> None:
    learner = mma(scale=0.01)
    prompts = learner.training_prompts(CLASSES)
    _, losses = learner.training_step(images(), LABELS, prompts)
    plain = torch.autograd.grad(losses["cross_entropy"], list(learner.parameters()), retain_graph=True)
    learner.backward(losses)
    for parameter, gradient in zip(learner.parameters(), plain, strict=True):
        assert parameter.grad is not None
        assert torch.allclose(parameter.grad, gradient / 0.01, rtol=1e-4)


@pytest.mark.parametrize("tower", ["text", "image"])
def test_the_shared_layers_have_a_gradient_from_both_towers(tower: str) -> None:
    learner = mma()
    features = learner.text_features(learner.prompts(CLASSES)) if tower == "text" else learner.image_features(images())
    features.sum().backward()
    assert all(layer.weight.grad.any() for layer in learner.shared)


def test_shared_beginnings_change_nothing() -> None:
    learner = mma(scale=0.5)
    found = learner.text_features(learner.prompts(CLASSES))
    for text, feature in zip(CLASSES.filled("a photo of a {}."), found, strict=True):
        alone = learner.backbone.embed(learner.backbone.tokenize([text]))
        assert torch.allclose(learner.text_features(alone)[0], feature, atol=1e-5)


def test_the_published_size() -> None:
    def count(width: int, h: int = 32) -> int:
        return width * h + h + h * width + width

    assert 8 * (count(512) + count(768) + 32 * 32 + 32) == 674_560
    learner, (text, vision) = mma(), (tiny.backbone().text.width, tiny.backbone().vision.width)
    expected = 2 * (count(text, 8) + count(vision, 8) + 8 * 8 + 8)
    assert sum(parameter.numel() for parameter in learner.parameters()) == expected


def test_initial_spread_follows_the_output_width() -> None:
    learner = mma(width=64)
    assert float(learner.text_up[0].weight.detach().std()) == pytest.approx(
        (2 / tiny.backbone().text.width) ** 0.5, rel=0.1
    )
    assert float(learner.text_down[0].weight.detach().std()) == pytest.approx((2 / 64) ** 0.5, rel=0.1)
    assert not any(layer.bias.any() for layer in learner.shared)


def test_layers_that_do_not_exist_are_refused() -> None:
    with pytest.raises(UserError, match="last_layer 9 exceeds"):
        mma(last_layer=9)
    with pytest.raises(ValueError, match="first_layer 3 is after last_layer 2"):
        MMAConfig(first_layer=3, last_layer=2)


@pytest.mark.parametrize(("is_source", "batch"), [(False, 16), (True, 128)])
def test_the_preset_is_the_released_one(is_source: bool, batch: int) -> None:
    task = tiny.training_task("base-to-novel").model_copy(update={"is_source": is_source})
    config, recipe = MMA.preset(task)
    assert (config.first_layer, config.last_layer, config.width, config.scale) == (5, 12, 32, 0.001)
    assert (recipe.epochs, recipe.batch_size, recipe.lr, recipe.warmup_epochs) == (5, batch, 0.0015, 0)
    assert (recipe.optimizer, recipe.momentum, recipe.weight_decay) == ("sgd", 0.9, 5e-4)
