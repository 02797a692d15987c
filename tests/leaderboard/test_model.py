"""A board as values: which figures are whole, and which sum it up."""

from dataclasses import replace

from boards import BOARD, FULL, GAP, MISSING, STILL

from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.leaderboard.model import in_brief


def test_a_figure_is_whole_when_it_is_there_with_all_its_parts() -> None:
    assert [cell.full for cell in (FULL, STILL, GAP, MISSING)] == [True, True, False, False]


def test_headlines_are_whole_figures_only() -> None:
    headline = BOARD.headline()
    assert headline == {
        Label("coop"): {"Base base-to-novel": FULL.value},
        Label("a_b & c"): {"Base base-to-novel": STILL.value},
    }


def test_a_column_is_read_row_by_row() -> None:
    table = BOARD.tables[0]
    assert table.column(table.columns[1]) == [GAP, MISSING]


def test_in_brief_a_board_is_its_brief_notes() -> None:
    assert in_brief(BOARD) == BOARD
    brief = in_brief(replace(BOARD, brief=("one line",)))
    assert (brief.tables, brief.notes) == ((), ("one line",))
