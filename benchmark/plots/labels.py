"""Names beside points, placed so that none covers another or a point."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

from promptarena.benchmark.plots.style import INK, SOFT, text_width

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

Box = tuple[float, float, float, float]
"""A rectangle in points from the figure's lower left corner: left, bottom, right, top."""

_HEIGHT = 1.15
"""Height of a line of text, in font sizes."""
_WIDER = 1.03
"""Text on a screen is a little wider than its outlines."""
_GAP = 1.2
"""The least distance between two names, in points."""
_MARK = 3.0
"""Half the width of a mark, in points."""
_LEADER = 11.0
"""From this distance on, in points, a thin line joins a name to its point."""
_DISTANCES = (5.0, 8.0, 12.0, 17.0, 23.0, 30.0, 39.0, 50.0, 64.0, 82.0, 105.0)
"""The distances at which a name is tried, in points."""
_ANGLES = (0.0, 0.5, 1.5, 1.0, *(place / 8 for place in range(1, 16) if place % 4))
"""The directions that are tried, in half turns: right first, as readers expect."""
_ANYWHERE = 25
"""How many places across the axes are tried."""
_OUTSIDE, _COVERED, _CROSSED, _FAR = 1e4, 10.0, 0.5, 0.4
"""What counts against a place: to leave the axes, to cover a name or mark (per square point), to cross a line (per
square point of a line one point wide), and the distance (per point).
"""


def name_points(
    axes: "Axes",
    points: Mapping[str, tuple[float, float]],
    names: Mapping[str, str],
    size: float,
    taken: Sequence[Box] = (),
    lines: "Sequence[Artist]" = (),
) -> "dict[str, list[Artist]]":
    """Write the names of points beside them.

    Args:
        axes: The axes, with their final place and limits.
        points: The points by label, in data coordinates.
        names: The text of each label.
        size: The font size in points.
        taken: Further places that no name may cover.
        lines: Upright or level lines that names had better not cross.

    Returns:
        The artists of each label.
    """
    import numpy as np

    scale = 72 / axes.get_figure(root=True).dpi  # type: ignore[union-attr]
    spots = {label: tuple(float(each) * scale for each in axes.transData.transform(at)) for label, at in points.items()}
    frame = [float(each) * scale for each in axes.bbox.extents]
    marks = [(x - _MARK, y - _MARK, x + _MARK, y + _MARK) for x, y in spots.values()]
    soft = np.array([_line(each, scale) for each in lines]).reshape(-1, 4)
    placed: list[Box] = [*taken]
    drawn: dict[str, list[Artist]] = {}
    tries = np.array([(distance, np.pi * angle) for distance in _DISTANCES for angle in _ANGLES])
    # Points with many neighbours have the fewest free places, so they choose first.
    for label in sorted(spots, key=lambda label: (-_neighbours(spots[label], list(spots.values())), label)):
        width, height = 72 * text_width([names[label]], size) * _WIDER + 1, size * _HEIGHT
        across, up = np.cos(tries[:, 1]), np.sin(tries[:, 1])
        left = spots[label][0] + across * tries[:, 0] + (across - 1) / 2 * width
        bottom = spots[label][1] + up * tries[:, 0] + (up - 1) / 2 * height
        found = _best(np.stack([left, bottom], axis=1), tries[:, 0], (width, height), frame, marks + placed, soft)
        if found.cost > _FAR * _DISTANCES[-1]:
            # Anywhere within the axes: in a crowd there may be no room near the point.
            columns = np.linspace(frame[0], max(frame[0], frame[2] - width), _ANYWHERE)
            rows = np.arange(frame[1], max(frame[1], frame[3] - height) + 1, height / 2)
            grid = np.array(list(product(columns, rows)))
            far = _DISTANCES[-1] + np.hypot(*(grid + np.array([width / 2, height / 2]) - np.array(spots[label])).T)
            found = min(
                found, _best(grid, far, (width, height), frame, marks + placed, soft), key=lambda each: each.cost
            )
        box = found.box
        placed.append((box[0] - _GAP, box[1] - _GAP / 2, box[2] + _GAP, box[3] + _GAP / 2))
        drawn[label] = _drawn(axes, points[label], names[label], size, box, found.far, spots[label])
    return drawn


class _Place(NamedTuple):
    """A place for a name, its distance from the point, and what counts against it."""

    box: Box
    far: float
    cost: float


def _best(
    corners: Any, far: Any, extent: tuple[float, float], frame: Sequence[float], taken: Sequence[Box], soft: Any
) -> _Place:
    """The best of N places by their lower left corners (N, 2) and distances (N,)."""
    import numpy as np

    boxes = np.concatenate([corners, corners + np.array(extent)], axis=1)
    outside = (boxes[:, :2] < frame[:2]).any(axis=1) | (boxes[:, 2:] > frame[2:]).any(axis=1)
    costs = _OUTSIDE * outside + _FAR * far + _COVERED * _overlap(boxes, np.array(taken))
    costs += _CROSSED * _overlap(boxes, soft)
    best = int(np.argmin(costs))
    return _Place(tuple(boxes[best].tolist()), float(far[best]), float(costs[best]))


def _overlap(boxes: Any, others: Any) -> Any:
    """The area that each box shares with the others, in square points."""
    import numpy as np

    wide, high = (
        np.minimum(boxes[:, None, side + 2], others[:, side + 2]) - np.maximum(boxes[:, None, side], others[:, side])
        for side in (0, 1)
    )
    return (np.maximum(wide, 0) * np.maximum(high, 0)).sum(axis=1)


def _line(line: Any, scale: float) -> list[float]:
    """The rectangle of a line, one point wide."""
    (left, bottom), (right, top) = (line.get_transform().transform(line.get_xydata())[[0, -1]] * scale).tolist()
    return [left - 0.5, min(bottom, top) - 0.5, right + 0.5, max(bottom, top) + 0.5]


def _drawn(
    axes: "Axes",
    point: tuple[float, float],
    name: str,
    size: float,
    box: Sequence[float],
    distance: float,
    spot: Sequence[float],
) -> "list[Artist]":
    x, y = box[0] - spot[0], (box[1] + box[3]) / 2 - spot[1]
    place: Any = {"textcoords": "offset points"}
    text = axes.annotate(name, point, (x, y), ha="left", va="center", fontsize=size, color=INK, **place)
    if distance < _LEADER:
        return [text]
    near = min(max(spot[0], box[0]), box[2]) - spot[0]
    edge = y if box[1] <= spot[1] <= box[3] else y - (box[3] - box[1]) / 2 if y > 0 else y + (box[3] - box[1]) / 2
    line = axes.annotate("", point, (near, edge), arrowprops={"arrowstyle": "-", "color": SOFT, "lw": 0.4}, **place)
    return [text, line]


def _neighbours(spot: Sequence[float], others: Sequence[Sequence[float]]) -> int:
    return sum(abs(spot[0] - x) < 60 and abs(spot[1] - y) < 20 for x, y in others)
