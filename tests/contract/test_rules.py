"""The rules of the contract: a method that breaks one is named with it."""

from typing import Any

import pytest
import torch
from broken_toys import BROKEN, NAMES, EncodesEachBatch, FitsNothing, Toy, broken
from torch import Tensor

from promptarena.benchmark.contract.kit import World, check
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.plugins.learner import CannotTransferError, Learner


@pytest.mark.parametrize("toy", BROKEN, ids=lambda toy: toy.__name__)
def test_the_broken_rule_is_named(toy: type[Learner], world: World) -> None:
    found = broken(check(toy, world))
    assert set(found) == BROKEN[toy], found
    assert all(finding.seen and finding.fix for finding in found.values())


def test_there_is_a_broken_toy_for_every_rule() -> None:
    assert set(NAMES) == set().union(*BROKEN.values())
    assert len(set(NAMES)) == len(NAMES)


def test_rules_that_do_not_concern_a_method_say_why(world: World) -> None:
    class Frozen(Toy):
        """Nothing is learned."""

        seeded = False
        preset = FitsNothing.preset

        def __init__(self, backbone: Any, config: Any, classes: Classes, generator: torch.Generator) -> None:
            Learner.__init__(self, backbone, config, classes, generator)

        def text_features(self, prompts: Any) -> Tensor:
            return prompts

    findings = {finding.rule: finding for finding in check(Frozen, world)}
    assert not broken(list(findings.values()))
    assert {name for name, finding in findings.items() if finding.passed is None} == {
        "training-step",
        "gradients",
        "learning",
    }
    assert findings["learning"].seen == "nothing is learned"


def test_classes_may_be_refused_with_a_reason(world: World) -> None:
    class Refuses(Toy):
        """It scores the classes it was trained on."""

        def __init__(self, backbone: Any, config: Any, classes: Classes, generator: torch.Generator) -> None:
            super().__init__(backbone, config, classes, generator)
            self.known = classes.names

        def prompts(self, classes: Classes) -> Any:
            if classes.names != self.known:
                raise CannotTransferError("these are others")
            return super().prompts(classes)

    findings = {finding.rule: finding for finding in check(Refuses, world)}
    assert (findings["novel-classes"].passed, findings["novel-classes"].seen) == (True, "refused: these are others")
    assert findings["class-order"].passed is None


def test_text_in_logits_is_allowed_when_declared(world: World) -> None:
    class Conditioned(EncodesEachBatch):
        """Its class features depend on the image."""

        image_conditioned = True

    assert not broken(check(Conditioned, world))
