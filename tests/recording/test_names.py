"""Names in the record: what is written is read back, and text that is no such value is refused."""

from dataclasses import replace
from typing import Any

import pytest
from record_runs import COST

from promptarena.benchmark.core.runs import Target
from promptarena.benchmark.recording import names
from promptarena.benchmark.recording.names import PerTarget, Tag

VALUES: list[tuple[Tag[Any], Any]] = [
    (names.SEED, None),
    (names.SEED, 0),
    (names.SHOTS, 16),
    (names.MINIATURE, True),
    (names.MINIATURE, False),
    (names.OWN_SPLITS, ()),
    (names.OWN_SPLITS, ("a", "b-c")),
    (names.OVERRIDES, ()),
    (names.OVERRIDES, (("n_ctx", "16"), ("text", 'a "b" ü'))),
    (names.ERROR, ""),
    (names.ERROR, "it failed"),
    (names.IMPORTED_DUPLICATES, 0),
    (names.IMPORTED_DUPLICATES, 3),
]


@pytest.mark.parametrize(("tag", "value"), VALUES, ids=lambda part: part.name if isinstance(part, Tag) else str(part))
def test_a_value_is_read_as_it_was_written(tag: Tag[Any], value: Any) -> None:
    written = tag.of(value)
    assert tag.read(written) == value
    assert set(written) <= {tag.name}
    assert (not written) == (tag.default is not None and tag.text(value) == tag.default)


def test_names_of_tags_are_distinct() -> None:
    found = [value.name for value in vars(names).values() if isinstance(value, Tag)]
    assert len(found) == len(set(found))


@pytest.mark.parametrize("reading", ["", "class feature"])
def test_a_target_is_read_from_its_name(reading: str) -> None:
    target, other = Target("dtd", "novel"), PerTarget("correctness")
    name = names.CORRECT.of(target, reading)
    assert names.CORRECT.among({name: 1, other.of(target): 1, "curves/loss": 1}) == {name: (target, reading)}


def test_a_name_without_a_target_is_refused() -> None:
    with pytest.raises(ValueError, match="old"):
        names.CORRECT.among({"correct/dtd/old": 1})


def test_a_cost_is_read_as_it_was_written_and_counts_are_whole() -> None:
    metrics = names.cost_metrics(COST)
    assert names.cost_of(metrics) == COST
    for wrong in (0.5, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="train_images"):
            names.cost_of(metrics | {f"{names.COST}train_images": wrong})
    assert names.cost_of(names.cost_metrics(replace(COST, eval_images=0))).eval_images == 0
