"""The views of a protocol."""

import pytest
from report_pages import OUTLINE
from report_runs import results_of

from promptarena.benchmark.published.load import load_published
from promptarena.benchmark.report.matrix import View, views_of
from promptarena.benchmark.report.sections import sections_of


def views(protocol: str, labels: list[str]) -> dict[str, View]:
    (section,) = sections_of(OUTLINE, results_of(OUTLINE, labels, protocols=[protocol]), published=load_published())
    return {view.key: view for view in views_of(section)}


@pytest.mark.parametrize(
    ("protocol", "keys"),
    [
        ("base-to-novel", ["hm", "base", "novel", "delta"]),
        ("cross-dataset", ["accuracy", "delta"]),
        ("few-shot", ["shots-16", "shots-1", "delta"]),
    ],
)
def test_the_headline_comes_first_and_the_average_in_every_view(protocol: str, keys: list[str]) -> None:
    found = views(protocol, ["zeroshot", "coop"])
    assert list(found) == keys
    for view in found.values():
        assert [title for _, title in view.columns] == ["Average", "Data 0", "Data 1", "Data 2"]
        assert [row.label for row in view.rows] == ["zeroshot", "coop"]
        assert all(len(row.squares) == 4 for row in view.rows)


def test_without_a_reference_there_are_no_distances() -> None:
    assert "delta" not in views("base-to-novel", ["coop", "maple"])


def test_a_gain_has_the_tint_of_a_gain_in_both_views() -> None:
    found = views("base-to-novel", ["zeroshot", "coop"])
    for figures, distances in zip(found["hm"].rows, found["delta"].rows, strict=True):
        for figure, distance in zip(figures.squares, distances.squares, strict=True):
            assert figure.tint == distance.tint
            assert figure.tint[:1] == {"+": "g", "-": "l"}[distance.text[0]] or float(distance.text) == 0
