"""Accuracy against cost: trainable parameters, training time and peak memory."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from promptarena.benchmark.core.protocol_table import METRICS, protocol_info
from promptarena.benchmark.leaderboard.build import MEASURABLE, BoardQuery
from promptarena.benchmark.plots.cells import absent, complete, half_width, something, value
from promptarena.benchmark.plots.style import (
    PAGE,
    legend,
    legend_columns,
    looks,
    sample_line,
    styled,
    ticks,
    title,
    within_percent,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TICKS = 3, 5
"""The least and the most ticks of a logarithmic axis."""
_COSTS = {
    "trainable_parameters": ("Trainable parameters", 1.0),
    "train_seconds": ("Training time in s", MEASURABLE),
    "peak_memory_mib": ("Peak memory in MiB", 1.0),
}
"""The headings, and the least cost with a place on the axis: methods below it stand to the left of all others."""


def cost(query: BoardQuery) -> "Figure":
    """The headline average, with its 95 % Student t interval over seeds, against parameters, training time and memory.

    Costs are means over runs, on logarithmic axes with a place of its own for (almost) zero.

    Args:
        query: Which leaderboard. Few-shot shows the largest of its numbers of shots that was scored.

    Returns:
        The plot: percent against a number, seconds and MiB.

    Raises:
        UserError: As `leaderboard` does.
        NoScoresError: There is nothing to draw.
    """
    from matplotlib.figure import Figure

    board = query.board
    first, costs = board.tables[0], board.tables[-1]
    metric = protocol_info(query.protocol).headline
    averages = next(filter(None, (complete(first, column) for column in first.headlines(metric))), {})
    spent = {column.key: complete(costs, column) for column in costs.columns}
    shown = [label for label in reversed(averages) if all(label in spent[name] for name in _COSTS)]
    something(board, shown)
    styles = looks([row.label for row in board.tables[0].rows])
    with styled():
        columns = legend_columns(shown, PAGE)
        figure = Figure(figsize=(PAGE, 2.9 + 0.16 * -(-len(shown) // columns)), layout="constrained")
        grid = figure.subplots(1, len(_COSTS), sharey=True)
        for axes, (name, (heading, least)) in zip(grid, _COSTS.items(), strict=True):
            spots = _log_axis(axes, {label: value(spent[name][label]) for label in shown}, least)
            for label in shown:
                cell, look = averages[label], styles[label]
                axes.errorbar(
                    spots[label], value(cell), half_width(cell), ecolor=look.colour, elinewidth=0.7, fmt="none"
                )
                axes.plot(spots[label], value(cell), linestyle="none", **look.marks())
            axes.set_xlabel(heading)
            ticks(axes)
        within_percent(grid[0])
        grid[0].set_ylabel(f"Average {METRICS[metric].words} in %")
        entries = {label: sample_line(styles[label], curve=False) for label in shown}
        legend(figure, entries, columns, "outside lower center")
        title(figure, f"{board.title}: accuracy against cost", board.miniature, absent(board, shown))
    return figure


def _log_axis(axes: "Axes", costs: Mapping[str, float], least: float) -> dict[str, float]:
    """Make the axis logarithmic with plain tick labels. Returns where each method goes, costs below `least` at the
    left.

    The axis stays linear if all costs are within one order of magnitude.
    """
    import numpy as np
    from matplotlib.ticker import MaxNLocator

    real = [each for each in costs.values() if each >= least] or [least]
    if len(real) == len(costs) and max(real) < 10 * min(real):
        axes.xaxis.set_major_formatter(lambda tick, _: _plain(tick))
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.margins(x=0.15)
        return dict(costs)
    low, high = min(real) / 1.5, max(real) * 1.5
    powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    spots: list[float] = []
    for steps in ((1,), (1, 3), (1, 2, 5)):
        if len(spots) < _TICKS[0]:
            spots = [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]
    spots = spots[:: max(1, -(-len(spots) // _TICKS[1]))]
    axes.set_xscale("log")
    words = [_plain(spot) for spot in spots]
    nothing = low / (high / low) ** 0.12
    if min(costs.values()) < least:
        spots, words = [nothing, *spots], ["0" if least == 1 else f"<{least:g}", *words]
        axes.axvline(low, color="#999999", linewidth=0.7, linestyle=":")
        low = nothing / (high / low) ** 0.06
    axes.set_xlim(low, high)
    axes.set_xticks(spots, words)
    axes.minorticks_off()
    return {label: each if each >= least else nothing for label, each in costs.items()}


def _plain(tick: float) -> str:
    """A printed tick: 0.01, 1, 2000, 20k, 1M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if tick >= max(size, 1e4):
            return f"{tick / size:g}{unit}"
    return f"{tick:g}"
