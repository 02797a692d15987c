"""Bars and gains."""

import warnings

from figures_of import THREE, named, texts
from score_frames import DATASETS, frame_of

from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.plots.bars import bars, gains
from promptarena.benchmark.plots.base_novel_plane import plane
from promptarena.benchmark.plots.cost import cost
from promptarena.benchmark.plots.curves import few_shot
from promptarena.benchmark.statistics.paired import compare
from promptarena.benchmark.statistics.scores import read_scores


def test_bars_start_at_zero_and_have_the_leaderboards_figures() -> None:
    frame = named(labels=["coop", "maple"])
    board = BoardQuery(frame, "base-to-novel", THREE).board
    figure = bars(BoardQuery(frame, "base-to-novel", THREE))
    assert [axes.get_title() for axes in figure.axes] == ["Average", *(title for _, title in THREE)]
    for axes, table in zip(figure.axes, board.tables, strict=False):
        assert axes.get_xlim()[0] == 0
        assert [bar.get_width() for bar in axes.patches] == [row.cells[2].value for row in reversed(table.rows)]


def test_axes_of_accuracy_end_at_0_and_100_where_intervals_go_on() -> None:
    sides = {1: (100, 5), 2: (99, 100), 3: (30, 1)}
    wild = [("wild", "d0", seed, {"base": base, "novel": novel}) for seed, (base, novel) in sides.items()]
    frame, one = frame_of(wild), DATASETS[:1]
    (square,) = plane(BoardQuery(frame, "base-to-novel", one)).axes
    (average, *_) = bars(BoardQuery(frame, "base-to-novel", one)).axes
    (against, *_) = cost(BoardQuery(frame, "base-to-novel", one)).axes
    shots = frame_of([(*row[:3], {"all": row[3]["novel"]}) for row in wild], "few-shot")
    (curve, *_) = few_shot(BoardQuery(shots, "few-shot", one, shots=(1, 16))).axes
    assert average.get_xlim() == (0, 100)
    for low, high in (square.get_xlim(), square.get_ylim(), against.get_ylim(), curve.get_ylim()):
        assert -2 <= low < high <= 102
    for line in square.lines:
        assert square.get_xlim()[0] <= line.get_xdata()[0] <= square.get_xlim()[1]
        assert square.get_ylim()[0] <= line.get_ydata()[0] <= square.get_ylim()[1]


def test_bars_of_nothing_but_zeros_have_an_axis() -> None:
    frame = frame_of([("a", "d0", 1, {"base": 0.0, "novel": 0.0})])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = bars(BoardQuery(frame, "base-to-novel", THREE[:1]))
    assert {axes.get_xlim() for axes in figure.axes} == {(0.0, 1.0)}


def test_bars_of_transfer_show_source_and_targets() -> None:
    frame = named("cross-dataset", ["coop", "maple"])
    titles = [
        axes.get_title() for axes in bars(BoardQuery(frame, "cross-dataset", (("source", "Source"), *THREE))).axes
    ]
    assert titles == ["Average", "Source", *(title for _, title in THREE)]


def test_few_shot_bars_are_of_the_most_shots() -> None:
    frame = named("few-shot", ["coop", "maple"])
    assert "accuracy at 16 shots" in " ".join(texts(bars(BoardQuery(frame, "few-shot", THREE))))


def test_gains_are_those_of_the_comparison() -> None:
    frame = named(labels=["coop", "maple"])
    comparison = compare(read_scores(BoardQuery(frame, "base-to-novel", THREE)), "maple", "coop")
    figure = gains(BoardQuery(frame, "base-to-novel", THREE), "coop")
    widths = [bar.get_width() for axes in figure.axes for bar in axes.patches]
    assert widths == [comparison.average, *(each.spread.mean for each in comparison.datasets)]
