from typing import Any

import numpy as np
import pytest
import torch
from broken_toys import BROKEN, NAMES, ChangesTheBackbone, EncodesEachBatch, FitsNothing, Toy, ToyConfig, broken
from torch import Tensor

from promptarena.benchmark.backbone.loading import weights_digest
from promptarena.benchmark.contract.kit import RULES, Finding, World, check, miniature
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.recipe import Recipe
from promptarena.benchmark.plugins.learner import CannotTransferError, Config, Learner
from promptarena.benchmark.plugins.registry import Method


@pytest.mark.parametrize("toy", BROKEN, ids=lambda toy: toy.__name__)
def test_the_broken_rule_is_named(toy: type[Learner], world: World) -> None:
    found = broken(check(toy, world))
    assert set(found) == BROKEN[toy], found
    assert all(finding.seen and finding.fix for finding in found.values())


def test_there_is_a_broken_toy_for_every_rule() -> None:
    assert set(NAMES) == set().union(*BROKEN.values())
    assert len(set(NAMES)) == len(NAMES)


def test_an_exception_of_the_method_is_told_in_a_line_and_the_other_rules_go_on(world: World) -> None:
    class Raises(Toy):
        """It cannot score."""

        def logits(self, images: Any, classifier: Any) -> Tensor:
            raise ValueError("no such layer\nnor another")

    findings = check(Raises, world)
    assert [finding.rule for finding in findings] == NAMES
    assert {finding.rule: finding.passed for finding in findings}["presets"]
    assert broken(findings)["start"].seen == "ValueError: no such layer"


def test_a_method_without_a_preset_breaks_every_rule(world: World) -> None:
    class Presetless(Toy):
        """It has no preset."""

        @classmethod
        def preset(cls, task: Any) -> tuple[Config, Recipe]:
            raise KeyError(task.shots)

    assert list(broken(check(Presetless, world))) == NAMES


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


def test_a_method_of_the_registry_and_other_settings_can_be_checked(world: World) -> None:
    seen: list[float] = []

    class Tells(Toy):
        """It tells its settings."""

        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            seen.append(self.config.scale)

    assert not broken(check(Method("tells", Tells, "", "", ""), world, config=ToyConfig(scale=0.5)))
    assert set(seen) == {0.5}


def test_chosen_rules_are_checked_alone(world: World) -> None:
    assert [finding.rule for finding in check(Toy, world, only=RULES[:2])] == NAMES[:2]


def test_a_check_leaves_the_world_and_the_global_generators_as_they_were(world: World) -> None:
    torch.manual_seed(3)
    np.random.seed(3)
    before = torch.get_rng_state(), np.random.get_state()[1], torch.get_num_threads()
    check(ChangesTheBackbone, world)
    assert weights_digest(world.backbone.model.state_dict()) == world.backbone.digest
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])
    assert torch.get_num_threads() == before[2]


def test_a_finding_reads_as_a_line() -> None:
    assert (
        str(Finding("batch", False, "logits differ", "no statistics")) == "batch: broken: logits differ: no statistics"
    )
    assert str(Finding("batch", True, "", "")) == "batch: ok"
    assert str(Finding("learning", None, "nothing is learned", "")) == "learning: does not apply: nothing is learned"


def test_the_miniature_has_other_novel_classes_in_another_number() -> None:
    world = miniature()
    task = world.task(1)
    assert not set(task.classes.names) & set(world.novel.names)
    assert len(task.classes) != len(world.novel)
    assert task.train.images.digest != world.task(2).train.images.digest
