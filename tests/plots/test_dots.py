"""Averages with their intervals."""

from figures_of import THREE, named, texts
from score_frames import frame_of

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


def test_one_method_has_a_row_below_the_longest_heading() -> None:
    whole = [("zeroshot", dataset, 1, {"base": 70.0, "novel": 60.0}) for dataset, _ in THREE]
    partly = [(f"a-method-with-a-long-name-{k}", THREE[0][0], 1, {"base": 70.0, "novel": 60.0}) for k in range(9)]
    figure = dots(BoardQuery(frame_of([*whole, *partly], "base-to-novel"), "base-to-novel", THREE))
    (axes,) = figure.axes
    assert axes.get_position().height * figure.get_figheight() >= 0.16
    assert "Not drawn" in figure._suptitle.get_text()  # type: ignore[attr-defined]
