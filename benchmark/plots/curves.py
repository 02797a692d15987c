"""Curves: accuracy over the number of shots, and training over epochs."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, cast

from promptarena.benchmark.core.protocol_table import protocol_info
from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.leaderboard.selection import Titled
from promptarena.benchmark.leaderboard.spread import spread
from promptarena.benchmark.plots.cells import accuracies, half_width, something, value
from promptarena.benchmark.plots.legends import legend, legend_columns
from promptarena.benchmark.plots.style import (
    PAGE,
    Look,
    lines_within,
    looks,
    panels,
    styled,
    ticks,
    title,
    within_percent,
)
from promptarena.benchmark.statistics.scores import NoScoresError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Quantity = Literal["loss", "train_accuracy"]

_ACROSS = 4
"""The most panels in a row."""
_PANEL = 1.6
"""The least width of a panel with its ticks, in inches."""
_PANEL_HEIGHT = 1.45
"""Height of a panel in inches, if there are several rows."""
_TITLE = 0.14
"""Height of a further line of a panel's title, in inches."""
_QUANTITIES: Mapping[Quantity, str] = {"loss": "Training loss", "train_accuracy": "Training accuracy in %"}
_MANY = 12
"""With more methods than this, intervals are drawn faintly."""
_ASIDE = 0.3
"""The distance between the first and the last method's points at one number of shots, in octaves (powers of 2)."""


def few_shot(query: BoardQuery, *, width: float = PAGE) -> "Figure":
    """Accuracy over training images per class, with 95 % Student t intervals over seeds.

    There is a panel for the average and one for each dataset. Incomplete figures are left out of the curves.

    Args:
        query: Which leaderboard, of a protocol by numbers of shots.
        width: The width in inches: `PAGE`, or `COLUMN` for one of two columns.

    Returns:
        The plot, in percent.

    Raises:
        UserError: As `leaderboard` does.
        NoScoresError: There is nothing to draw.
    """
    board = query.board
    places, metric = sorted(query.shots), protocol_info(query.protocol).headline
    shown = {}
    for name, heading in (("", "Average"), *query.datasets):
        by_shots = {count: accuracies(board, metric, name, count) for count in places}
        shown[heading] = {
            row.label: [
                (float(count), value(cells[row.label]), half_width(cells[row.label]))
                for count, cells in by_shots.items()
                if row.label in cells
            ]
            for row in board.tables[0].rows
        }
    drawn = {label for curves in shown.values() for label, points in curves.items() if points}
    order = [row.label for row in reversed(board.tables[0].rows) if row.label in drawn]
    something(board, order)
    words = f"{board.title}: accuracy", "Images per class", "Accuracy in %"
    figure = _grid(shown, order, words, board.miniature, width, octaves=True)
    for axes in figure.axes:
        within_percent(axes)
        axes.set_xscale("log", base=2)
        axes.set_xticks(places, [str(count) for count in places])
        axes.minorticks_off()
    return figure


def learning(
    curves: "pd.DataFrame",
    datasets: Titled,
    quantity: Quantity = "loss",
    *,
    miniature: bool = False,
    width: float = PAGE,
) -> "Figure":
    """Training over epochs, a panel per dataset: the mean over seeds, with 95 % Student t intervals as bands.

    Args:
        curves: The columns label, dataset, seed, epoch, loss and train_accuracy (0 to 1). Rows without the quantity are
            left out.
        datasets: (card name, title) of the panels, in this order.
        quantity: What is shown.
        miniature: Whether the runs are of the miniature; the title then says so.
        width: The width in inches: `PAGE`, or `COLUMN` for one of two columns.

    Returns:
        The plot; accuracy in percent.

    Raises:
        NoScoresError: There is nothing to draw.
    """
    factor = 100.0 if quantity == "train_accuracy" else 1.0
    rows = curves.dropna(subset=[quantity])
    shown: dict[str, dict[str, list[tuple[float, float, float]]]] = {}
    for name, heading in datasets:
        here = rows[rows["dataset"] == name]
        if len(here):
            shown[heading] = {}
        for key, values in here.groupby(["label", "epoch"], sort=True)[quantity]:
            label, epoch = cast("tuple[str, float]", key)
            over = spread([factor * float(each) for each in values])
            half = 0.0 if over.high is None else over.high - over.mean
            shown[heading].setdefault(label, []).append((float(epoch), over.mean, half))
    if not shown:
        raise NoScoresError(f"nothing to draw: no learning curve has a {quantity} on these datasets; choose others")
    heading = _QUANTITIES[quantity]
    order = sorted({label for drawn in shown.values() for label in drawn})
    words = f"Learning curves: {heading.lower()}", "Epoch", heading
    figure = _grid(shown, order, words, miniature, width, octaves=False)
    for axes in figure.axes if quantity == "train_accuracy" else ():
        within_percent(axes)
    return figure


def _grid(
    shown: Mapping[str, Mapping[str, Sequence[tuple[float, float, float]]]],
    order: Sequence[str],
    words: tuple[str, str, str],
    miniature: bool,
    width: float,
    *,
    octaves: bool,
) -> "Figure":
    """A panel for each heading, with a curve for each label through its points (x, y, half the interval's width).

    The words are the title and the labels of the axes.
    With `octaves`, x doubles from tick to tick, and every point has its own interval, slightly shifted so that the
    intervals of different methods do not cover each other.
    """
    from matplotlib.figure import Figure

    styles = looks(order)
    across = max(1, min(_ACROSS, len(shown), int(width / _PANEL)))
    rows = -(-len(shown) // across)
    titles = {heading: lines_within(heading, width / across - 0.3) for heading in shown}
    faint = len(order) > _MANY
    with styled():
        columns = legend_columns(order, width)
        height = rows * (_PANEL_HEIGHT if rows > 1 else 2.0) + 0.16 * -(-len(order) // columns)
        lines = sum(max(map(len, list(titles.values())[row * across : (row + 1) * across])) - 1 for row in range(rows))
        figure = Figure(figsize=(width, height), layout="constrained")
        above = title(figure, words[0], miniature)
        figure.set_figheight(height + 0.45 + above + _TITLE * lines)
        drawn = list(zip(panels(figure, len(shown), across), shown.items(), strict=True))
        for axes, (heading, curves) in drawn:
            for rank, label in enumerate(order):
                if curves.get(label):
                    aside = 2 ** (_ASIDE * (rank / len(order) - 0.5)) if octaves and not faint else 1.0
                    points = [(x * aside, y, half) for x, y, half in curves[label]]
                    (_with_bars if octaves else _with_band)(axes, points, styles[label], faint)
            ticks(axes)
            axes.set_title("\n".join(titles[heading]))
        for axes, _ in drawn[-across:]:
            axes.set_xlabel(words[1])
        figure.supylabel(words[2], fontsize=8)
        legend(figure, {label: styles[label] for label in order}, columns)
    return figure


def _with_bars(axes: "Axes", points: Sequence[tuple[float, float, float]], look: Look, faint: bool) -> None:
    x, y, half = (list(values) for values in zip(*points, strict=True))
    alpha = 0.35 if faint else 1.0
    axes.errorbar(x, y, half, fmt="none", ecolor=look.colour, elinewidth=0.6, capsize=1.2, capthick=0.6, alpha=alpha)
    axes.plot(x, y, **look.curve(3.0))


def _with_band(axes: "Axes", points: Sequence[tuple[float, float, float]], look: Look, faint: bool) -> None:
    x, y, _ = (list(values) for values in zip(*points, strict=True))
    low, high = [y - half for _, y, half in points], [y + half for _, y, half in points]
    axes.fill_between(x, low, high, color=look.colour, alpha=0.05 if faint else 0.15, linewidth=0)
    axes.plot(x, y, **look.curve(3.0), markevery=max(1, len(x) // 5))
