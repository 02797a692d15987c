"""CLIP-Adapter: what the residual network does to frozen features, against NumPy and against zero-shot CLIP."""

from typing import Any

import numpy as np
import pytest
import tiny
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.errors import UserError
from promptarena.methods.clip_adapter import CLIPAdapter, CLIPAdapterConfig
from promptarena.methods.zeroshot import ZeroShot, ZeroShotConfig

CLASSES = Classes(tiny.NAMES, "art of the {}.")
IMAGES = tiny.Given(torch.randn(6, 20, generator=torch.Generator().manual_seed(3)))
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])


def adapter(seed: int = 0, **config: Any) -> CLIPAdapter:
    return CLIPAdapter(tiny.backbone(), CLIPAdapterConfig(**config), CLASSES, torch.Generator().manual_seed(seed))


@torch.no_grad()
def logits(learner: Any, classes: Classes = CLASSES) -> Tensor:
    found: Tensor = learner.logits(IMAGES, learner.classifier(learner.prompts(classes)))
    return found


def zero_shot() -> Tensor:
    return logits(ZeroShot(tiny.backbone(), ZeroShotConfig(), CLASSES, torch.Generator()))


def weights(learner: CLIPAdapter) -> list[Tensor]:
    return list(learner.parameters())


def test_features_are_those_of_the_formula() -> None:
    learner = adapter(ratio=0.3)
    w1, w2 = (weight.detach().numpy().T for weight in weights(learner))
    f = IMAGES.features.numpy()
    expected = 0.3 * np.maximum(np.maximum(f @ w1, 0) @ w2, 0) + 0.7 * f
    np.testing.assert_allclose(learner.image_features(IMAGES).detach().numpy(), expected, rtol=1e-5, atol=1e-6)
    normalised = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    text = learner.classifier(learner.prompts(CLASSES)).numpy()
    np.testing.assert_allclose(
        logits(learner).numpy(), float(tiny.backbone().scale) * normalised @ text.T, rtol=1e-4, atol=1e-5
    )


def test_with_ratio_zero_it_is_zero_shot_to_the_bit() -> None:
    assert torch.equal(logits(adapter(ratio=0.0)), zero_shot())
    assert not torch.allclose(logits(adapter()), zero_shot(), atol=1e-3)


def test_with_an_empty_second_layer_only_the_length_of_features_changes() -> None:
    learner = adapter()
    nn.init.zeros_(weights(learner)[1])
    torch.testing.assert_close(learner.image_features(IMAGES), 0.8 * IMAGES.features)
    torch.testing.assert_close(logits(learner), zero_shot())


def test_with_ratio_one_features_are_never_negative() -> None:
    features = adapter(ratio=1.0).image_features(IMAGES).detach()
    assert float(features.min()) == 0
    assert float(features.max()) > 0


@pytest.mark.parametrize(("reduction", "hidden"), [(4, 5), (1, 20), (20, 1)])
def test_it_has_two_layers_without_bias(reduction: int, hidden: int) -> None:
    learner = adapter(reduction=reduction)
    assert [tuple(weight.shape) for weight in weights(learner)] == [(hidden, 20), (20, hidden)]
    assert all(name.startswith("adapter.") for name in learner.state_dict())


def test_layers_are_drawn_within_the_default_bounds_of_a_linear_layer() -> None:
    first, second = (weight.detach() for weight in weights(adapter()))
    for weight, inputs in ((first, 20), (second, 5)):
        assert 0.8 * inputs**-0.5 < float(weight.abs().max()) <= inputs**-0.5


def test_gradient_descent_moves_both_layers_and_lowers_the_loss() -> None:
    learner = adapter()
    before = [weight.detach().clone() for weight in weights(learner)]
    optimizer = torch.optim.SGD(learner.parameters(), lr=0.01)
    losses = []
    for _ in range(20):
        _, terms = learner.training_step(IMAGES, LABELS, learner.training_prompts(CLASSES))
        optimizer.zero_grad()
        learner.backward(terms)
        optimizer.step()
        losses.append(float(terms["cross_entropy"].detach()))
    assert losses[-1] < losses[0]
    assert all(not torch.equal(old, new) for old, new in zip(before, weights(learner), strict=True))


def test_other_classes_are_scored_by_the_same_adapter() -> None:
    learner = adapter()
    mixed = Classes((tiny.NOVEL[0], CLASSES.names[2], tiny.NOVEL[1], CLASSES.names[0]), CLASSES.template)
    torch.testing.assert_close(logits(learner, mixed)[:, [3, 1]], logits(learner)[:, [0, 2]])


def test_mistakes_are_reported() -> None:
    with pytest.raises(UserError, match="reduction 21 leaves no hidden unit of 20 features"):
        adapter(reduction=21)
    with pytest.raises(ValidationError):
        CLIPAdapterConfig(ratio=1.1)


@pytest.mark.parametrize(("shots", "epochs"), [(1, 50), (4, 100), (16, 200)])
def test_batch_and_rate_are_the_papers_and_epochs_those_of_coop(shots: int, epochs: int) -> None:
    _, recipe = CLIPAdapter.preset(tiny.training_task("few-shot", shots))
    assert (recipe.batch_size, recipe.lr, recipe.optimizer, recipe.epochs) == (32, 1e-5, "sgd", epochs)
    assert CLIPAdapter.preset(tiny.training_task("cross-dataset", shots, True))[1].epochs == 50
