"""The average over numbers of shots."""

from itertools import pairwise

import numpy as np
import pytest
from figures_of import THREE, named

from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.plots.average_curve import average_curve
from promptarena.benchmark.plots.style import COLUMN, PAGE


@pytest.mark.parametrize("width", [COLUMN, PAGE])
def test_curves_go_through_the_averages_and_names_are_apart(width: float) -> None:
    labels = [f"method-{place}" for place in range(12)]
    query = BoardQuery(named("few-shot", labels), "few-shot", THREE, shots=(1, 4, 16))
    figure = average_curve(query, width=width)
    (axes,) = figure.axes
    curves = [line.get_ydata().tolist() for line in axes.lines if len(line.get_xdata()) == 3]
    expected = [[cell.value for cell in row.cells] for row in query.board.tables[0].rows]
    assert np.array(sorted(curves)) == pytest.approx(np.array(sorted(expected)))
    figure.draw_without_rendering()
    boxes = sorted((text.get_window_extent() for text in axes.texts), key=lambda box: box.y0)
    assert len(boxes) == 12
    for one, other in pairwise(boxes):
        assert other.y0 >= one.y0 + 0.9 * (one.y1 - one.y0)
    assert max(box.x1 for box in boxes) <= figure.bbox.x1
