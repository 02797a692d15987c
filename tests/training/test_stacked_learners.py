"""Which learners can be computed as one."""

from typing import Any

import tiny
import torch
from stackable import RECIPE, SEEDS, Stackable, linear
from torch import Tensor

from promptarena.benchmark.training.given_inputs import together
from promptarena.benchmark.training.seed_batch import can_train_together
from promptarena.benchmark.training.stacked_learners import Stacked


def test_a_step_is_that_of_each_alone() -> None:
    learners = [linear(seed).double() for seed in SEEDS]
    images = [tiny.Given(torch.randn(4, 20, dtype=torch.float64)) for _ in SEEDS]
    labels = torch.tensor([[0, 1, 2, 0], [1, 1, 0, 2], [2, 0, 0, 1]])
    stacked = Stacked(learners)
    logits, losses = stacked.training_step(together(images), labels, None)
    stacked.backward(losses)
    for seed, learner in enumerate(learners):
        mine, own = learner.training_step(images[seed], labels[seed], None)
        learner.backward(own)
        torch.testing.assert_close(logits[seed], mine, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(losses["cross_entropy"][seed], own["cross_entropy"], rtol=1e-6, atol=0)
        for name, parameter in learner.named_parameters():
            gradient = stacked.parameters[name].grad
            assert gradient is not None
            torch.testing.assert_close(gradient[seed], parameter.grad, rtol=1e-6, atol=1e-8)


def test_only_a_class_that_says_so_itself_is_stacked() -> None:
    class Inheriting(Stackable):
        def training_step(self, images: Any, labels: Tensor, prompts: Any) -> Any:
            return super().training_step(images, labels, prompts)

    assert can_train_together(Stackable, RECIPE, "fp32")
    assert not can_train_together(Inheriting, RECIPE, "fp32")
    assert not can_train_together(type(tiny.linear()), RECIPE, "fp32")
    assert not can_train_together(Stackable, RECIPE.model_copy(update={"epochs": 0}), "fp32")


def test_the_scaled_losses_of_fp16_are_not_stacked() -> None:
    assert not can_train_together(Stackable, RECIPE, "fp16")
