"""The best and the second best figure of a column."""

from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.leaderboard.marks import marked
from promptarena.benchmark.leaderboard.model import Cell, Column, Mark, Row, Table


def marks(*values: float | None) -> list[Mark | None]:
    rows = tuple(Row(Label(f"m{place}"), (Cell(value, filled=1),)) for place, value in enumerate(values))
    return [row.cells[0].mark for row in marked(Table("t", "T", (Column("c", "C"),), rows)).rows]


def test_figures_that_are_printed_the_same_share_a_mark() -> None:
    assert marks(70.0, 71.001, 71.004, 69.0) == ["second", "best", "best", None]


def test_a_single_figure_has_none_and_missing_ones_are_left_out() -> None:
    assert marks(70.0) == [None]
    assert marks(None, 70.0) == [None, None]
    assert marks(None, 70.0, 60.0) == [None, "best", "second"]
