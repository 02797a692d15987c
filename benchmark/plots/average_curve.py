"""The average over datasets against training images per class, with the methods' names at the ends of their curves."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from promptarena.benchmark.core.protocol_table import protocol_info
from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.plots.bulk import bulk_limits, edge
from promptarena.benchmark.plots.cells import accuracies, half_width, something, value
from promptarena.benchmark.plots.inline import owned
from promptarena.benchmark.plots.names import names_within
from promptarena.benchmark.plots.style import INK, PAGE, SMALLEST, heading, looks, styled, text_width, ticks

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

_LINE = 0.112
"""The least distance between two names, in inches."""


def average_curve(query: BoardQuery, *, width: float = PAGE) -> "Figure":
    """Average accuracy over training images per class, with 95 % Student t intervals over seeds.

    Args:
        query: Which leaderboard, of a protocol by numbers of shots. Incomplete averages are left out of the curves.
        width: The width in inches: `PAGE`, or `COLUMN` for one of two columns.

    Returns:
        The plot, in percent.

    Raises:
        UserError: As `leaderboard` does.
        NoScoresError: There is nothing to draw.
    """
    from matplotlib.figure import Figure

    board, metric = query.board, protocol_info(query.protocol).headline
    places = sorted(query.shots)
    by_shots = {count: accuracies(board, metric, "", count) for count in places}
    order = [row.label for row in board.tables[0].rows if any(row.label in cells for cells in by_shots.values())]
    something(board, order)
    styles, names = looks(order), names_within(order, width)
    cells = [cell for each in by_shots.values() for cell in each.values()]
    limits = bulk_limits([value(cell) for cell in cells], [half_width(cell) for cell in cells])
    with styled():
        room = 0.25 + text_width(names.values(), SMALLEST)
        high = max(3.2, 0.9 + _LINE * len(order))
        figure = Figure(figsize=(width, high))
        top = heading(figure, f"{board.title}: average over {len(query.datasets)} datasets", board.miniature)
        bottom = 0.42 / high
        axes = figure.add_axes((0.6 / width, bottom, 1 - (0.6 + room) / width, top - bottom))
        axes.set_xscale("log", base=2)
        axes.set(xlim=(places[0] / 1.15, places[-1] * 1.15), ylim=limits)
        axes.set(xlabel="Training images per class", ylabel="Average accuracy in %")
        axes.set_xticks(places, [str(count) for count in places])
        axes.minorticks_off()
        ticks(axes)
        drawn: dict[str, list[Artist]] = {}
        ends: dict[str, float] = {}
        for label in order:
            look = styles[label]
            points = [(count, by_shots[count][label]) for count in places if label in by_shots[count]]
            ys = [edge(value(cell), *limits)[0] for _, cell in points]
            drawn[label] = [*axes.plot([count for count, _ in points], ys, clip_on=False, **look.curve(3.2))]
            for count, cell in points:
                low, high_end = value(cell) - half_width(cell), value(cell) + half_width(cell)
                drawn[label] += axes.plot([count] * 2, [low, high_end], color=look.colour, linewidth=0.6, alpha=0.45)
            ends[label] = ys[-1]
        step = _LINE / (high * (top - bottom)) * (limits[1] - limits[0])
        for label, at in _apart(ends, step, limits).items():
            drawn[label].append(
                axes.text(
                    1.02,
                    at,
                    names[label],
                    color=INK,
                    fontsize=SMALLEST,
                    va="center",
                    transform=axes.get_yaxis_transform(),
                )
            )
            drawn[label] += axes.plot(
                [1.0, 1.015],
                [ends[label], at],
                color=styles[label].colour,
                linewidth=0.6,
                clip_on=False,
                transform=axes.get_yaxis_transform(),
            )
            owned(label, *drawn[label])
    return figure


def _apart(ends: Mapping[str, float], step: float, limits: tuple[float, float]) -> dict[str, float]:
    """Heights at least `step` apart, near the given ones, in the same order and within the limits if there is room."""
    order = sorted(ends, key=lambda label: (ends[label], label))
    heights: list[float] = []
    for place, label in enumerate(order):
        least = limits[0] + place * step
        heights.append(max(ends[label], least, heights[-1] + step if heights else least))
    most = limits[1]
    for place in reversed(range(len(order))):
        heights[place] = min(heights[place], most)
        most = heights[place] - step
    return dict(zip(order, heights, strict=True))
