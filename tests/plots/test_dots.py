"""Averages with their intervals."""

from figures_of import THREE, named, texts

from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.plots.dots import dots


def test_every_average_is_there_and_the_reference_is_a_line() -> None:
    query = BoardQuery(named(labels=["zeroshot", "coop", "maple"]), "base-to-novel", THREE)
    figure = dots(query)
    (axes,) = figure.axes
    table = query.board.tables[0]
    expected = {row.label: row.cells[2].value for row in table.rows}
    seen = {float(line.get_xdata()[0]) for line in axes.lines if len(line.get_xdata()) == 1}
    assert seen >= set(expected.values())
    assert any(set(line.get_xdata()) == {expected["zeroshot"]} for line in axes.lines if len(line.get_xdata()) == 2)
    assert {"zeroshot", "coop", "maple"} <= set(texts(figure))
