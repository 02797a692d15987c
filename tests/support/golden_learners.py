"""Learners of golden cases."""

import pytest
import torch
from golden import Case, initial_values
from golden_methods import Adapter
from golden_newer import ADAPTERS
from torch import Tensor

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.plugins.learner import Learner


def build(case: Case, backbone: Backbone | None = None) -> tuple[Learner, dict[str, Tensor], Adapter]:
    """The learner of a golden case with its initial values, its compared parameters by official name, and its adapter;
    on the case's backbone unless another one with its weights is given."""
    if case.method not in ADAPTERS:
        pytest.skip(f"{case.method} is not implemented")
    adapter = ADAPTERS[case.method]
    specs = case.manifest["trainable"]
    learner = adapter.learner(
        backbone or case.backbone(), adapter.config(case.config), classes(case, "class_names"), torch.Generator()
    )
    adapter.prepare(learner, case.config)
    named = dict(learner.named_parameters())
    ours = {official: adapter.rename(official, case.config) for official in specs}
    others = set(named) - adapter.later - set(ours.values())
    assert set(ours.values()) <= set(named)
    assert adapter.partial or not others
    for name in others:
        named[name].requires_grad_(False)
    drawn = initial_values(case.manifest["init_seed"], specs)
    with torch.no_grad():
        for official, spec in specs.items():
            if spec["init"] == "drawn":
                named[ours[official]].copy_(drawn[official])
            elif spec["init"] == "zeros":
                assert not named[ours[official]].any(), official
    compared = [official for official in specs if official not in case.manifest.get("without_gradient", ())]
    return learner, {official: named[ours[official]] for official in compared}, adapter


def classes(case: Case, key: str) -> Classes:
    """The classes that a manifest lists under `key`."""
    names = tuple(name.replace("_", " ") for name in case.manifest[key])
    adapter = ADAPTERS.get(case.method)
    return Classes(names, adapter.template(case.config) if adapter else "a photo of a {}.", case.dataset)
