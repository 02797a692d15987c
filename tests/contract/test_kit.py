"""The contract kit: every rule is checked, whatever a method does."""

from typing import Any

from broken_toys import NAMES, Toy, ToyConfig, broken
from torch import Tensor

from promptarena.benchmark.contract.kit import RULES, Finding, World, check
from promptarena.benchmark.core.recipe import Recipe
from promptarena.benchmark.plugins.learner import Config
from promptarena.benchmark.plugins.registry import Method


def test_an_exception_of_the_method_is_reported_in_a_line_and_the_other_rules_go_on(world: World) -> None:
    class Raises(Toy):
        """It cannot score."""

        def logits(self, images: Any, classifier: Any) -> Tensor:
            raise ValueError("no such layer\nnor another")

    findings = check(Raises, world)
    assert [finding.rule for finding in findings] == NAMES
    assert {finding.rule: finding.passed for finding in findings}["presets"]
    assert broken(findings)["start"].seen.startswith("ValueError: no such layer (test_kit.py, line ")


def test_a_method_without_a_preset_breaks_every_rule(world: World) -> None:
    class Presetless(Toy):
        """It has no preset."""

        @classmethod
        def preset(cls, task: Any) -> tuple[Config, Recipe]:
            raise KeyError(task.shots)

    assert list(broken(check(Presetless, world))) == NAMES


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


def test_a_finding_reads_as_a_line() -> None:
    assert (
        str(Finding("batch", False, "logits differ", "no statistics")) == "batch: broken: logits differ: no statistics"
    )
    assert str(Finding("batch", True, "", "")) == "batch: ok"
    assert str(Finding("learning", None, "nothing is learned", "")) == "learning: does not apply: nothing is learned"
