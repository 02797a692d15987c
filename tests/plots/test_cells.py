"""The figures that plots are made of."""

import pytest
from boards import BOARD, FULL, STILL

from promptarena.benchmark.leaderboard.model import Cell
from promptarena.benchmark.plots.cells import absent, complete, half_width, something
from promptarena.benchmark.statistics.scores import NoScoresError


def test_only_whole_figures_are_drawn_and_the_others_are_named() -> None:
    table = BOARD.tables[0]
    novel = complete(table, table.columns[1])
    assert novel == {}
    assert complete(table, table.columns[0]) == {"coop": FULL, "a_b & c": STILL}
    assert absent(BOARD, ["coop"]) == ["Not drawn, figures incomplete: a_b & c."]
    assert absent(BOARD, ["coop", "a_b & c"]) == []
    with pytest.raises(NoScoresError, match="base-to-novel"):
        something(BOARD, list(novel))


def test_an_interval_reaches_half_its_width_from_the_value() -> None:
    assert half_width(FULL) == pytest.approx(1.2422)
    assert half_width(Cell(3.0)) == 0.0
