"""The printed text of a cell: two decimals, what is missing, and never a spread without all parts."""

from dataclasses import replace

import pytest
from boards import BOARD, FULL, GAP, MISSING, PARTIAL

from promptarena.benchmark.leaderboard.formats.cell_text import figure_and_spread, group_starts, shown, visible
from promptarena.benchmark.leaderboard.model import Cell, Column, Unit


def test_what_is_missing_is_said() -> None:
    assert shown(FULL, "percent") == "80.47 ±0.50"
    assert shown(PARTIAL, "percent") == "70.00 (2/3)"
    assert shown(GAP, "percent") == "9 of 11"
    assert shown(MISSING, "percent") == "–"
    assert shown(replace(MISSING, note="not run"), "percent") == "not run"


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        ("percent", "1234.57"),
        ("points", "+1234.57"),
        ("parameters", "1,235"),
        ("seconds", "1,234.6"),
        ("images/s", "1,234.6"),
        ("MiB", "1,235"),
        ("rank", "1234.57"),
        ("count", "1,235"),
        ("flag", "yes"),
    ],
)
def test_every_unit_has_its_text(unit: Unit, text: str) -> None:
    assert figure_and_spread(Cell(1234.567, filled=1), unit) == (text, "")


def test_a_difference_that_rounds_to_nothing_has_no_minus() -> None:
    assert shown(Cell(-0.001, filled=1), "points") == "+0.00"


def test_columns_of_the_data_formats_are_not_printed() -> None:
    table = visible(BOARD.tables[0])
    assert [column.key for column in table.columns] == ["base_pct", "novel_pct"]
    assert all(len(row.cells) == 2 for row in table.rows)


def test_a_group_is_named_where_it_begins() -> None:
    columns = [Column(str(place), "x", group=group) for place, group in enumerate(("", "a", "a", "b", "", "b"))]
    assert group_starts(columns) == ["", "a", "", "b", "", "b"]
