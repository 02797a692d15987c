"""Accuracy against cost: trainable parameters, training time and peak memory."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from promptarena.benchmark.core.protocol_table import METRICS, protocol_info
from promptarena.benchmark.leaderboard.build import MEASURABLE, BoardQuery
from promptarena.benchmark.plots.bulk import bulk_limits, edge
from promptarena.benchmark.plots.bulk import ends as interval_ends
from promptarena.benchmark.plots.cells import absent, complete, half_width, something, value
from promptarena.benchmark.plots.inline import owned
from promptarena.benchmark.plots.labels import name_points
from promptarena.benchmark.plots.style import PAGE, SMALLEST, SOFT, heading, looks, shortened, styled, text_width, ticks

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
_MEMORY = "peak_memory_mib"


def cost(query: BoardQuery) -> "Figure":
    """The headline average, with its 95 % Student t interval over seeds, against parameters, training time and memory.

    Costs are means over runs, on logarithmic axes with a place of its own for (almost) zero. Memory is what a method
    adds to the process of the reference, which is frozen CLIP alone; without a reference it is the peak of the process.

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
        headings[_MEMORY] = f"Peak memory above {shortened([reference])[reference]} in MiB"
    styles, names = looks(shown), shortened(shown)
    limits = bulk_limits([value(averages[label]) for label in shown], [half_width(averages[label]) for label in shown])
    drawn: dict[str, list[Artist]] = {label: [] for label in shown}
    with styled():
        # Twice the room that the names fill, or they could not all be apart.
        filled = sum(text_width([name], SMALLEST) for name in names.values()) * _NAME
        height = max(2.9 + 0.055 * len(shown), 1.0 + 2 * filled / (PAGE / len(_COSTS)))
        figure = Figure(figsize=(PAGE, height))
        text = f"{board.title}: accuracy against cost"
        top = heading(figure, text, board.miniature, absent(board, shown))
        bottom, share = 0.42 / height, (1 - 0.62 / PAGE) / len(_COSTS)
        for place, (name, (_, least)) in enumerate(_COSTS.items()):
            axes = figure.add_axes((0.55 / PAGE + place * share, bottom, share - 0.14 / PAGE, top - bottom))
            spots = _log_axis(axes, {label: spent[name][label] for label in shown}, least)
            axes.set_ylim(limits)
            axes.set_xlabel(headings[name])
            ticks(axes)
            if place:
                axes.tick_params(labelleft=False)
            else:
                axes.set_ylabel(f"Average {METRICS[metric].words} in %")
            if reference in averages:
                axes.axhline(value(averages[reference]), color=SOFT, linewidth=0.7, linestyle=(0, (4, 2)), zorder=0)
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
                    drawn[label] += axes.plot(
                        [spots[label]] * 2, [low, high], color=look.colour, linewidth=0.7, alpha=0.45, zorder=2
                    )
            for label, artists in name_points(axes, points, texts, SMALLEST).items():
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
