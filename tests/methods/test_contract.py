"""Every registered method keeps the contract, on a tiny CLIP of twelve blocks and, slower, on the miniature."""

from collections.abc import Callable
from functools import cache

import pytest
import tiny
import trials

from promptarena.benchmark.contract.kit import RULES, Rule, Subject, World, check, miniature
from promptarena.benchmark.plugins.learner import Config
from promptarena.benchmark.plugins.registry import load_registry
from promptarena.methods.dear import DeARConfig

METHODS = load_registry().methods
KNOWN = {"dept-maple": {"learning"}}
"""What the miniature's learning rates break: they suit its small logit scale, and DePT's head has none (its page says
so).
"""
LONG = ("coprompt", "promptsrc", "rada-promptsrc", "rada-ttt")
"""Their presets encode dozens of templates, or 64 views of each image; fewer are tried."""
WITHOUT_LEARNING = [rule for rule in RULES if rule.name != "learning"]
"""Drawn weights hold nothing to learn from, and a penalty may outweigh the labels there; the miniature shows it."""
WITHOUT_A_TABLE = {"dear": DeARConfig(mask="none")}
"""The tiny CLIP's heads have not been diagnosed; the miniature's have."""
BY_WEIGHTS = ("start", "training-step", "learning", "novel-classes", "class-order", "mixed-precision")
"""Rules that other weights may decide; the tiny CLIP shows the others for every method, for less."""
WHOLE = ("coop", *WITHOUT_A_TABLE)
"""Methods that keep the others on the miniature, too."""
each = pytest.mark.parametrize("name", METHODS)


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Subject]:
    """Each method once, so that its rules share a training."""
    world = trials.world(tmp_path_factory.mktemp("world"), layers=12)
    return cache(lambda name: Subject(METHODS[name].learner, world, WITHOUT_A_TABLE.get(name, settings(name))))


def settings(name: str) -> Config:
    """The preset's, with few templates, and few views of an image."""
    config = tiny.few_templates(METHODS[name].learner.preset(tiny.training_task(shots=16))[0])
    return config.model_copy(update={"views": 10}) if name == "rada-ttt" else config


@pytest.fixture(scope="module")
def miniature_world() -> World:
    return miniature()


@pytest.mark.parametrize("rule", WITHOUT_LEARNING, ids=lambda rule: rule.name)
@each
def test_every_method_keeps_the_rules(name: str, rule: Rule, subject: Callable[[str], Subject]) -> None:
    finding = rule.look(subject(name))
    if finding.passed is None:
        pytest.skip(finding.seen)
    assert finding.passed, finding


@pytest.mark.slow
@each
def test_every_method_keeps_the_contract_on_the_miniature(name: str, miniature_world: World) -> None:
    rules = RULES if name in WHOLE else [rule for rule in RULES if rule.name in BY_WEIGHTS]
    findings = check(METHODS[name], miniature_world, config=settings(name) if name in LONG else None, only=rules)
    broken = [finding for finding in findings if finding.passed is False]
    assert {finding.rule for finding in broken} == KNOWN.get(name, set()), "\n".join(map(str, broken))
