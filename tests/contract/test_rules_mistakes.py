"""Usual mistakes of a method's author: the finding says what is expected."""

from typing import Any

import pytest
from broken_toys import Toy, broken
from torch import Tensor

from promptarena.benchmark.contract.kit import RULES, World, check
from promptarena.benchmark.plugins.learner import Learner


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (
            lambda logits, loss: loss,
            "training_step returned float32 of shape () on cpu; training_step must return (log",
        ),
        (lambda logits, loss: (logits, loss, 1), "training_step returned 3 values; training_step must return (logits,"),
        (lambda logits, loss: (logits, loss), "returned no losses by name but float32 of shape () on cpu; training_st"),
        (lambda logits, loss: ({"cross_entropy": loss}, logits), "logits are a dict, not floating-point numbers of sh"),
        (lambda logits, loss: None, "training_step returned a NoneType; training_step must return (logits, losses)"),
    ],
)
def test_a_wrong_return_says_what_to_return(world: World, returned: Any, said: str) -> None:
    class Wrong(Toy):
        """Its step returns something else."""

        def training_step(self, images: Any, labels: Tensor, prompts: Any) -> Any:
            logits, losses = super().training_step(images, labels, prompts)
            return returned(logits, losses["cross_entropy"])

    finding = broken(check(Wrong, world, only=[rule for rule in RULES if rule.name == "training-step"]))
    assert said in finding["training-step"].seen


def test_a_missing_preset_is_said(world: World) -> None:
    class Presetless(Toy):
        """Nothing says how it is trained."""

        preset = Learner.preset

    assert broken(check(Presetless, world, only=RULES[2:3]))["presets"].seen.startswith("there is no preset, so the ")
