"""What a record can hold: values that MLflow, its databases or a table would refuse are found before they get there."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from promptarena.benchmark.recording.exports.holdable import (
    Moment,
    Plain,
    Reading,
    check_params,
    check_provenance,
    check_values,
)


@pytest.mark.parametrize("value", ["a\0b", "\ud800", float("nan"), -float("inf"), 2**63, -(2**63) - 1], ids=ascii)
@pytest.mark.parametrize("place", [lambda value: value, lambda value: {"a": [1, {"b": value}]}], ids=["top", "deep"])
def test_values_that_no_store_holds_are_refused_wherever_they_are(place: Any, value: Any) -> None:
    with pytest.raises(ValueError, match="config"):
        check_values("config", place(value))


def test_the_ends_of_the_range_are_held() -> None:
    check_values("config", {"a": [2**63 - 1, -(2**63), 1e308, "ü\n", None, True]})


@pytest.mark.parametrize("names", [["../a"], ["/a"], ["."], ["a//b"], ["a" * 300], ["recipe.lr", "recipe.lr"]])
def test_names_that_cannot_be_recorded_are_refused(names: list[str]) -> None:
    with pytest.raises(ValueError, match="record"):
        check_params(names)
    check_params(["recipe.lr", "config.n_ctx"])


@pytest.mark.parametrize("change", [{"targets": {"dtd/old": "x"}}, {"own_splits": "dtd"}, {"training_version": "1"}])
def test_a_provenance_of_other_types_is_refused(change: dict[str, Any]) -> None:
    check_provenance({"targets": {"dtd/base": "x"}, "anything": [1]})
    with pytest.raises(ValueError, match=f"provenance.{next(iter(change))}"):
        check_provenance(change)


@pytest.mark.parametrize(
    ("kind", "held", "refused"),
    [
        (Moment, datetime(2026, 1, 1, tzinfo=UTC), datetime(1969, 12, 31, tzinfo=UTC)),
        (Plain, "coop ü", "a\tb"),
        (Reading, "", "a*b"),
    ],
    ids=["moment", "plain", "reading"],
)
def test_names_and_moments(kind: Any, held: Any, refused: Any) -> None:
    assert TypeAdapter(kind).validate_python(held) == held
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(refused)
