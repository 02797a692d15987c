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
    points = {(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in axes.lines}
    expected = {(row.cells[0].value, row.cells[1].value) for row in average.rows}
    assert points == expected
    reach = [path.get_extents() for part in axes.containers for bar in part.lines[2] for path in bar.get_paths()]
    for place, sizes in enumerate(([box.width for box in reach], [box.height for box in reach])):
        cells = [row.cells[place] for row in average.rows]
        expected = [cell.high - cell.low for cell in cells if cell.high is not None and cell.low is not None]
        assert sorted(size for size in sizes if size > 1e-9) == pytest.approx(sorted(expected))


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
