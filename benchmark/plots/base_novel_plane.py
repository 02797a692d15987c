"""The plane of base and novel accuracy, with contours of equal harmonic mean."""

from typing import TYPE_CHECKING

from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.plots.cells import absent, accuracies, half_width, something, value
from promptarena.benchmark.plots.style import (
    PAGE,
    SMALL,
    legend,
    legend_columns,
    looks,
    sample_line,
    shortened,
    styled,
    text_width,
    ticks,
    title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BESIDE = 18
"""The legend is beside the plane for up to so many methods, below it for more."""
_CONTOURS = 6
"""About how many contours are drawn."""


def plane(query: BoardQuery) -> "Figure":
    """Base against novel accuracy, averages over the datasets, with 95 % Student t intervals over seeds.

    Args:
        query: Which leaderboard, of a protocol with both metrics. Methods with an incomplete average are named in the
            title, not drawn.

    Returns:
        The plot, in percent.

    Raises:
        UserError: As `leaderboard` does.
        NoScoresError: There is nothing to draw.
    """
    from matplotlib.figure import Figure

    board = query.board
    base, novel = accuracies(board, "base"), accuracies(board, "novel")
    shown = [label for label in reversed(base) if label in novel]
    something(board, shown)
    with styled():
        beside = len(shown) <= _BESIDE
        columns = 1 if beside else legend_columns(shown, PAGE)
        size = (4.5 + text_width(shortened(shown).values(), SMALL), 3.9)
        figure = Figure(
            figsize=size if beside else (PAGE, 6.2 + 0.16 * -(-len(shown) // columns)), layout="constrained"
        )
        axes = figure.subplots()
        entries = {}
        for label, look in looks([row.label for row in board.tables[0].rows]).items():
            if label in shown:
                x, y = base[label], novel[label]
                axes.errorbar(
                    value(x), value(y), half_width(y), half_width(x), ecolor=look.colour, elinewidth=0.7, fmt="none"
                )
                axes.plot(value(x), value(y), linestyle="none", clip_on=False, **look.marks())
                entries[label] = sample_line(look, curve=False)
        axes.set(xlabel="Base accuracy in %", ylabel="Novel accuracy in %")
        ticks(axes, grid=None)
        _contours(axes)
        legend(
            figure,
            {label: entries[label] for label in shown},
            columns,
            "outside right center" if beside else "outside lower center",
        )
        title(
            figure, f"{board.title}: averages over {_count(len(query.datasets))}", board.miniature, absent(board, shown)
        )
    return figure


def _contours(axes: "Axes") -> None:
    """Make the axes a square around the points, within 0 to 100, and draw labelled contours of equal harmonic mean."""
    import numpy as np
    from matplotlib.ticker import MaxNLocator

    limits = axes.get_xlim(), axes.get_ylim()
    half = min(max(high - low for low, high in limits) / 2 * 1.04, 50)
    centres = [min(max((low + high) / 2, half), 100 - half) for low, high in limits]
    square = [(centre - half, centre + half) for centre in centres]
    axes.set(xlim=square[0], ylim=square[1])
    # From 0.1 on: at (0, 0) the harmonic mean divides by zero.
    x, y = np.meshgrid(*(np.linspace(max(low, 0.1), high, 200) for low, high in square))
    means = 2 * x * y / (x + y)
    levels = MaxNLocator(_CONTOURS).tick_values(float(means.min()), float(means.max()))
    lines = axes.contour(x, y, means, levels=levels, colors="#999999", linewidths=0.6, linestyles="--", zorder=0)
    spots = [spot for level in levels if (spot := _spot(level, *square))]
    axes.clabel(lines, fmt="HM %g", fontsize=7, inline_spacing=3, manual=spots)


def _spot(level: float, across: tuple[float, float], up: tuple[float, float]) -> tuple[float, float] | None:
    """Where a contour is labelled: near its left end; None if too little of it is visible."""
    start, end = (
        max(across[0], min(across[1], level * y / (2 * y - level))) if 2 * y > level else across[1] for y in up[::-1]
    )
    if end - start < 0.25 * (across[1] - across[0]):
        return None
    x = start + max(0.12 * (end - start), 0.1 * (across[1] - across[0]))
    return x, level * x / (2 * x - level)


def _count(datasets: int) -> str:
    return f"{datasets} dataset{'' if datasets == 1 else 's'}"
