"""Names beside points."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.figure import Figure

from promptarena.benchmark.plots.labels import name_points
from promptarena.benchmark.plots.style import COLUMN, PAGE, styled


@pytest.mark.parametrize(("width", "count", "spread"), [(PAGE, 40, 10.0), (PAGE, 40, 1.0), (COLUMN, 20, 3.0)])
def test_names_cover_neither_each_other_nor_points(width: float, count: int, spread: float) -> None:
    random = np.random.default_rng(3)
    points = {f"method-{place}": tuple(random.normal(50, spread, 2).clip(22, 78).tolist()) for place in range(count)}
    with styled():
        figure = Figure(figsize=(width, width * 0.8))
        axes = figure.add_axes((0.1, 0.1, 0.85, 0.85))
        axes.set(xlim=(20, 80), ylim=(20, 80))
        drawn = name_points(axes, points, {label: label for label in points}, 6.5)
        figure.draw_without_rendering()
        boxes = {label: artists[0].get_window_extent() for label, artists in drawn.items()}
    frame = axes.bbox.padded(1)
    for box in boxes.values():
        assert frame.fully_contains(box.x0, box.y0)
        assert frame.fully_contains(box.x1, box.y1)
    for (one, box), (other, rival) in combinations(boxes.items(), 2):
        assert not box.shrunk(0.97, 0.75).overlaps(rival.shrunk(0.97, 0.75)), (one, other)
