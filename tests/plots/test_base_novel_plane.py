"""The plane of base and novel accuracy."""

import pytest
from figures_of import THREE, named, texts

from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.plots.base_novel_plane import plane
from promptarena.benchmark.statistics.scores import NoScoresError


def test_the_plane_shows_the_leaderboards_averages_with_their_intervals() -> None:
    frame = named(labels=["coop", "maple"])
    (average, *_) = BoardQuery(frame, "base-to-novel", THREE).board.tables
    (axes,) = plane(BoardQuery(frame, "base-to-novel", THREE)).axes
    points = {
        (float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in axes.lines if len(line.get_xdata()) == 1
    }
    assert points >= {(row.cells[0].value, row.cells[1].value) for row in average.rows}
    lines = [line.get_xydata() for line in axes.lines if len(line.get_xdata()) == 2]
    limits = axes.get_xlim(), axes.get_ylim()
    for place in (0, 1):
        reach = [sorted(line[:, place]) for line in lines if line[0, 1 - place] == line[1, 1 - place]]
        for row in average.rows:
            cell = row.cells[place]
            assert cell.low is not None
            assert cell.high is not None
            inside = [max(cell.low, limits[place][0]), min(cell.high, limits[place][1])]
            assert any(ends == pytest.approx(inside) for ends in reach)


def test_an_outlier_stands_at_the_edge_with_its_value() -> None:
    labels = [f"m{place}" for place in range(8)]
    frame = named(labels=labels)
    far = (frame["label"] == "m3") & (frame["target_subset"] == "novel")
    frame.loc[far, "value"] = 0.05
    frame.loc[far, "correct"] = 500
    figure = plane(BoardQuery(frame, "base-to-novel", THREE))
    (axes,) = figure.axes
    assert axes.get_ylim()[0] > 20
    assert "m3 ▾ 5.0" in texts(figure)


def test_contours_are_lines_of_equal_harmonic_mean() -> None:
    (axes,) = plane(BoardQuery(named(labels=["coop", "maple"]), "base-to-novel", THREE)).axes
    (lines,) = [each for each in axes.collections if hasattr(each, "levels")]
    for level, path in zip(lines.levels, lines.get_paths(), strict=True):
        for x, y in path.vertices:
            assert 2 * x * y / (x + y) == pytest.approx(level, rel=1e-3)


def test_a_method_without_novel_scores_is_named_as_not_drawn() -> None:
    frame = named(labels=["coop", "maple", "probe"])
    frame = frame[(frame["label"] != "probe") | (frame["target_subset"] == "base")]
    shown = " ".join(texts(plane(BoardQuery(frame, "base-to-novel", THREE))))
    assert "Not drawn, figures incomplete: probe." in shown.replace("\n", " ")
    with pytest.raises(NoScoresError, match="nothing to draw for base-to-novel"):
        plane(BoardQuery(frame[frame["label"] == "probe"], "base-to-novel", THREE))
