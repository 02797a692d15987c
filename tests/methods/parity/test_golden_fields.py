"""Every field of a golden manifest is read: a case with another value is another case, and none is passed over."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from golden import ROOT, Case, cases
from golden_newer import ADAPTERS

CASES = {str(case): case for case in cases() if case.method in ADAPTERS and case.path.is_relative_to(ROOT)}
NO_EFFECT = {
    "BASE": "the host, which the method's name says too",
    "B_ZERO": "how the drawn values of the case were chosen; they are in `trainable`",
    "DATASET": "the card, of which cases read the dataset's own texts",
    "DATASET_NAME": "the same",
    "N_ATT": "as many as N_CTX: the released code has one number",
    "W": "passed to TCP's released code, which reads PRIOR_WEIGHT",
    "description_index": "read for each batch",
    "epochs": "read by the aggregation",
    "gaussian_weights": "what GPA_MEAN, GPA_STD and epochs give",
    "layout": "the dataset's text, which TCP has in a table of its own",
    "reserve_mask": "read where the draw is put in",
    "encoder": "which tensors are trained is in `trainable`",
    "position": "the same",
    "LN_TEXT_START": "the same",
    "LN_VISION_START": "the same",
    "STAGE2_LR": "read by the second stage",
    "CSC": "without effect on a context of words",
    "N_CTX": "the number of words where the context starts from words, and TCP's is 4",
    "CTX_INIT": "TCP's words are in `layout`",
}


class Read(dict[str, Any]):
    """A configuration that notes which fields were read."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(values)
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.names.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return super().get(name, default)


@pytest.mark.parametrize("name", CASES)
def test_no_field_of_a_configuration_is_passed_over(name: str) -> None:
    case, adapter = CASES[name], ADAPTERS[CASES[name].method]
    read = Read(case.config)
    adapter.config(read)
    adapter.template(read)
    for official in case.manifest["trainable"]:
        adapter.rename(official, read)
    assert set(case.config) - read.names <= set(NO_EFFECT)


def changed(case: Case) -> Iterator[tuple[str, Case]]:
    """The case with each number of its configuration changed."""
    for field, value in case.config.items():
        if isinstance(value, int | float) and not isinstance(value, bool) and field not in NO_EFFECT:
            manifest = copy.deepcopy(case.manifest)
            manifest["config"][field] = 0.5 if value == 0 else value * 0.9 if value < 1 else value + 1
            yield field, Case(case.path, manifest)


@pytest.mark.parametrize("name", CASES)
def test_another_value_is_another_configuration(name: str) -> None:
    case, adapter = CASES[name], ADAPTERS[CASES[name].method]
    for field, other in changed(case):
        assert adapter.config(other.config) != adapter.config(case.config), field


@pytest.mark.parametrize("seed", [1, 2**31])
def test_seeds_sizes_and_batches_are_those_of_the_manifest(seed: int) -> None:
    case = next(iter(CASES.values()))
    manifest = copy.deepcopy(case.manifest)
    manifest["batches"]["eval"] |= {"seed": seed, "n": 7, "labels": [0] * 7}
    manifest["model"] = {"seed": seed, "config": case.manifest["model"]["config"] | {"vision_layers": 1}}
    other = Case(case.path, manifest)
    side = case.manifest["model"]["config"]["image_resolution"]
    assert other.pixels("eval").shape == (7, 3, side, side)
    assert len(other.labels("eval")) == 7
    assert (other.pixels("eval")[:4] != case.pixels("eval")).any()
    assert other.backbone().vision.depth == 1
    assert other.backbone().digest != case.backbone().digest
