"""Prompts that do not fit the context are found before anything is trained, whatever the method."""

from contextlib import nullcontext, suppress

import pytest
import torch
from e2e_world import MODEL
from hypothesis import given
from hypothesis import strategies as st

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.backbone.loading import load_backbone
from promptarena.benchmark.backbone.towers import Tower
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.context import ContextError
from promptarena.benchmark.planning.contexts import Measure, check_template
from promptarena.benchmark.planning.suites import load_suite
from promptarena.benchmark.plugins.registry import load_registry

ARCHITECTURE = MODEL / "open_clip_config.json"
REGISTRY = load_registry()
READS_NO_NAMES = {"linear-probe"}
NEED_VALUES = {"tcp", "two-stage"}
"""They compute with text features while they build their prompts, after the texts were measured."""


@pytest.fixture(scope="module")
def measure() -> Measure:
    return Measure(ARCHITECTURE)


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load_backbone(ARCHITECTURE, MODEL / "mini_clip.safetensors", device="cpu")


@given(text=st.text(max_size=400))
def test_a_text_fits_here_where_it_fits_the_backbone(measure: Measure, backbone: Backbone, text: str) -> None:
    outcomes = []
    for each in (measure, backbone):
        try:
            ids = each.tokenize([text])
            outcomes.append(("fits", ids.shape, int(ids.argmax(-1))))
        except ContextError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("method", sorted(REGISTRY.methods))
def test_every_method_builds_its_prompts_without_weights(measure: Measure, method: str) -> None:
    """It gets as far as the texts: a name that is too long is found, and one that is not is no error."""
    suite = load_suite("mini")
    learner = REGISTRY.get(method).learner
    config, _ = learner.preset(suite.task("base-to-novel", suite.datasets[0], 16))

    def build(name: str) -> None:
        classes = Classes(("cat", name), "a photo of a {}.", suite.datasets[0])
        learner(measure, config, classes, torch.Generator()).training_prompts(classes)

    with pytest.raises(RuntimeError) if method in NEED_VALUES else nullcontext():
        build("dog")
    with nullcontext() if method in READS_NO_NAMES else pytest.raises(ContextError):
        build("dog " * 100)


@pytest.mark.parametrize("method", ["promptsrc", "mmrl", "rada", "dear"])
def test_no_block_is_computed(measure: Measure, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks without values still take seconds for a large suite, and they import torch's compiler."""
    computed: list[str] = []
    monkeypatch.setattr(Tower, "_whole", lambda *_: computed.append("block"))
    monkeypatch.setattr(Tower, "_project", lambda *_, **__: computed.append("part of a block"))
    suite = load_suite("mini")
    learner = REGISTRY.get(method).learner
    config, _ = learner.preset(suite.task("base-to-novel", suite.datasets[0], 16))
    classes = Classes(("cat", "dog"), "a photo of a {}.", suite.datasets[0])
    with suppress(RuntimeError):
        learner(measure, config, classes, torch.Generator()).training_prompts(classes)
    assert computed == []


def test_a_template_is_measured_with_every_name() -> None:
    check_template(ARCHITECTURE, Classes(("cat", "dog"), "a {}."))
    with pytest.raises(ContextError, match="text of 102 tokens exceeds the context of"):
        check_template(ARCHITECTURE, Classes(("cat", "dog"), "a " * 98 + "{}."))
