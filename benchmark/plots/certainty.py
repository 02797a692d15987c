"""How sure methods are and how often they are right: reliability diagrams and risk-coverage curves."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from promptarena.benchmark.plots.inline import owned
from promptarena.benchmark.plots.legends import legend, legend_columns
from promptarena.benchmark.plots.style import PAGE, SOFT, looks, panels, styled, ticks, title, wide
from promptarena.benchmark.statistics.scores import NoScoresError

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Drawn = Mapping[str, Mapping[str, Sequence[tuple[float, float]]]]
"""The points (x, y) of each method's curve, in percent, by the heading of a panel and by label."""

_PANEL = 3.1
"""The most width and height of a panel with its texts, in inches."""
_LEGEND_LINE = 0.165
"""Height of a line of the legend, in inches."""
_LEAST_RISK = 5.0
"""The smallest end of the axis of risks, in percent: smaller ones differ by chance."""


def reliability(drawn: Drawn, text: str, *, miniature: bool = False, width: float = PAGE) -> "Figure":
    """Accuracy over the mean probability of the predicted class, in bins of equal width.

    Above the dashed diagonal a method is right more often than its probabilities say, below it less often.

    Args:
        drawn: The curves.
        text: The title.
        miniature: Whether the runs are of the miniature; the title then says so.
        width: The width in inches: `PAGE`, or `COLUMN` for one of two columns.

    Returns:
        The plot, in percent.

    Raises:
        NoScoresError: There is nothing to draw.
    """
    figure = _lines(drawn, text, miniature, width, ("Mean probability in %", "Accuracy in %"))
    for axes in figure.axes:
        axes.plot([0, 100], [0, 100], color=SOFT, linewidth=0.8, linestyle=(0, (4, 2)), zorder=0)
        axes.set(xlim=(-2, 102), ylim=(-2, 102), xticks=range(0, 101, 20), yticks=range(0, 101, 20))
    return figure


def risk_coverage(drawn: Drawn, text: str, *, miniature: bool = False, width: float = PAGE) -> "Figure":
    """The share of wrong answers if a method answers only where it is surest, over the share that it answers.

    Args:
        drawn: As for `reliability`, as are the others.
        text: The title.
        miniature: Whether the runs are of the miniature.
        width: The width in inches.

    Returns:
        The plot, in percent.

    Raises:
        NoScoresError: There is nothing to draw.
    """
    figure = _lines(drawn, text, miniature, width, ("Answered images in %", "Wrong answers in %"))
    for axes, curves in zip(figure.axes, drawn.values(), strict=True):
        most = max(y for points in curves.values() for _, y in points)
        axes.set(xlim=(0, 102), ylim=(0, 1.05 * max(most, _LEAST_RISK)), xticks=range(0, 101, 20))
    return figure


def _lines(drawn: Drawn, text: str, miniature: bool, width: float, axis_labels: tuple[str, str]) -> "Figure":
    from matplotlib.figure import Figure

    order = list(dict.fromkeys(label for curves in drawn.values() for label in curves))
    if not order:
        raise NoScoresError("nothing to draw: no method has predictions of all its runs; run the missing ones")
    styles, across = looks(order), min(len(drawn), 2) if wide(width) else 1
    down = -(-len(drawn) // across)
    artists: dict[str, list[Artist]] = {label: [] for label in order}
    with styled():
        columns = legend_columns(order, width)
        side = min(width / across, _PANEL)
        height = 0.3 + down * side + _LEGEND_LINE * -(-len(order) // columns)
        figure = Figure(figsize=(width, height), layout="constrained")
        above = title(figure, text, miniature)
        figure.set_figheight(height + above)
        shown = list(zip(panels(figure, len(drawn), across), drawn.items(), strict=True))
        for axes, (heading, curves) in shown:
            for label, points in curves.items():
                artists[label] += _curve(axes, points, styles[label].curve(3.0))
            ticks(axes)
            axes.set_title(heading)
            axes.set_ylabel(axis_labels[1])
        for axes, _ in shown[-across:]:
            axes.set_xlabel(axis_labels[0])
        legend(figure, {label: styles[label] for label in order}, columns)
        (names,) = figure.legends
        for label, sample, name in zip(order, names.legend_handles, names.get_texts(), strict=True):
            owned(label, *artists[label], sample, name)
    return figure


def _curve(axes: "Axes", points: Sequence[tuple[float, float]], look: Mapping[str, Any]) -> "list[Artist]":
    x, y = zip(*points, strict=True)
    return [*axes.plot(x, y, markevery=max(1, len(x) // 4), **look)]
