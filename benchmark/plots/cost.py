"""Accuracy against cost: trainable parameters, training time and peak memory."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from promptarena.benchmark.core.protocol_table import METRICS, protocol_info
from promptarena.benchmark.leaderboard.build import MEASURABLE, BoardQuery
from promptarena.benchmark.plots.bulk import bulk_limits, edge
from promptarena.benchmark.plots.bulk import ends as interval_ends
from promptarena.benchmark.plots.cells import absent, complete, half_width, something, value
from promptarena.benchmark.plots.inline import owned
from promptarena.benchmark.plots.labels import name_points
from promptarena.benchmark.plots.names import names_within, shortened
from promptarena.benchmark.plots.style import (
    PAGE,
    SMALLEST,
    SOFT,
    heading,
    looks,
    styled,
    text_width,
    ticks,
    wide,
)

if TYPE_CHECKING:
    from matplotlib.artist import Artist
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
_NAME = 0.125
"""Height of a name with its gap, in inches."""
_LEFT, _RIGHT, _BELOW = 0.55, 0.14, 0.42
"""What is left of the first axes, right of each and below each, in inches."""
_LEAST = 1.5
"""The least height of axes in a column, in inches."""
_REFERENCE = 14
"""The most characters of the reference's name below an axis."""
_MEMORY = "peak_memory_mib"


def cost(query: BoardQuery, *, width: float = PAGE) -> "Figure":
    """The headline average, with its 95 % Student t interval over seeds, against parameters, training time and memory.

    Costs are means over runs, on logarithmic axes with a place of its own for (almost) zero. Memory is what a method
    adds to the process of the reference, which is frozen CLIP alone; without a reference it is the peak of the process.

    Args:
        query: Which leaderboard. Few-shot shows the largest of its numbers of shots that was scored.
        width: The width in inches: `PAGE`, or `COLUMN` for one of two columns, where the axes are below each other.

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
    spent = {
        column.key: {label: value(cell) for label, cell in complete(costs, column).items()} for column in costs.columns
    }
    shown = [label for label in reversed(averages) if all(label in spent[name] for name in _COSTS)]
    something(board, shown)
    headings = {name: words for name, (words, _) in _COSTS.items()}
    reference = board.reference_label(query.reference)
    frozen = spent[_MEMORY].get(reference)
    if frozen is not None:
        spent[_MEMORY] = {label: max(0.0, each - frozen) for label, each in spent[_MEMORY].items()}
        headings[_MEMORY] = f"Peak memory above {shortened([reference], _REFERENCE)[reference]} in MiB"
    styles, names = looks(shown), names_within(shown, width)
    limits = bulk_limits([value(averages[label]) for label in shown], [half_width(averages[label]) for label in shown])
    drawn: dict[str, list[Artist]] = {label: [] for label in shown}
    with styled():
        across = len(_COSTS) if wide(width) else 1
        rows, room = len(_COSTS) // across, (width - _LEFT - 0.07) / across
        # Twice the room that the names fill, or they could not all be apart.
        filled = sum(text_width([name], SMALLEST) for name in names.values()) * _NAME
        each = max((2.2 if rows == 1 else _LEAST) + 0.055 * len(shown), 2 * filled / room)
        figure = Figure(figsize=(width, 1.0))
        text, notes = f"{board.title}: accuracy against cost", absent(board, shown)
        above = 1 - heading(figure, text, board.miniature, notes)  # of one inch
        height = above + rows * (each + _BELOW)
        figure.set_figheight(height)
        heading(figure, text, board.miniature, notes)
        for place, (name, (_, least)) in enumerate(_COSTS.items()):
            left, low = _LEFT + place % across * room, (rows - 1 - place // across) * (each + _BELOW) + _BELOW
            axes = figure.add_axes((left / width, low / height, (room - _RIGHT) / width, each / height))
            spots = _log_axis(axes, {label: spent[name][label] for label in shown}, least)
            axes.set_ylim(limits)
            axes.set_xlabel(headings[name])
            ticks(axes)
            if place % across:
                axes.tick_params(labelleft=False)
            else:
                axes.set_ylabel(f"Average {METRICS[metric].words} in %", labelpad=3)
            lines: list[Artist] = []
            if reference in averages:
                dashed: Any = {"color": SOFT, "linewidth": 0.7, "linestyle": (0, (4, 2)), "zorder": 0}
                lines += axes.plot(axes.get_xlim(), [value(averages[reference])] * 2, **dashed)
            texts = dict(names)
            points = {}
            for label in shown:
                cell, look = averages[label], styles[label]
                at, note = edge(value(cell), *limits)
                points[label] = (spots[label], at)
                drawn[label] += axes.plot(*points[label], linestyle="none", clip_on=False, zorder=3, **look.marks(4.5))
                if note:
                    texts[label] = f"{names[label]} {note.replace('◂', '▾').replace('▸', '▴')}"
                else:
                    low, high, _ = interval_ends(value(cell), half_width(cell), *limits)
                    lines += axes.plot(
                        [spots[label]] * 2, [low, high], color=look.colour, linewidth=0.7, alpha=0.45, zorder=2
                    )
                    drawn[label].append(lines[-1])
            for label, artists in name_points(axes, points, texts, SMALLEST, lines=lines).items():
                drawn[label] += artists
        for label, artists in drawn.items():
            owned(label, *artists)
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
        margin = 0.15 * (max(real) - min(real) or 1.0)
        axes.set_xlim(min(real) - margin, max(real) + margin)
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
