"""Bars per dataset with intervals: accuracies, and differences from a reference."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.labels import counted_shots
from promptarena.benchmark.core.protocol_table import METRICS, Metric, protocol_info
from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.leaderboard.captions import title_of
from promptarena.benchmark.plots.cells import accuracies, something, value
from promptarena.benchmark.plots.names import names_within
from promptarena.benchmark.plots.style import (
    GAIN,
    INK,
    LOSS,
    PAGE,
    SMALL,
    lines_within,
    panels,
    styled,
    text_width,
    ticks,
    title,
)
from promptarena.benchmark.statistics.paired import against
from promptarena.benchmark.statistics.scores import NoScoresError, read_scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ACROSS = 4
"""The most panels in a row."""
_PANEL = 0.92
"""The least width of a panel in inches."""
_BAR = 0.15
"""Height of a bar with its gap, in inches."""
_TITLE = 0.14
"""Height of a line of a panel's title, in inches."""
_INK = INK
_INSIDE: dict[str, Any] = {"fontsize": 6.5, "in_layout": False, "annotation_clip": False}
"""The numbers lie within their panel. Asking each where it ends, and whether it is inside, took a third of the time."""


class _Bar(NamedTuple):
    """A value with its 95 % interval, `low` to `high`; both equal the value if there is no interval."""

    value: float
    low: float
    high: float


def bars(query: BoardQuery, *, metric: Metric | None = None, width: float = PAGE) -> "Figure":
    """Accuracies of every method: a panel for the average and one for each dataset, bars from 0 with 95 % intervals.

    Args:
        query: Which leaderboard. Few-shot shows the largest of its numbers of shots that was scored.
        metric: What is shown; None: the protocol's headline metric.
        width: The width in inches: `PAGE`, or `COLUMN` for one of two columns.

    Returns:
        The plot, in percent.

    Raises:
        UserError: The protocol does not have the metric, or as `leaderboard` does.
        NoScoresError: There is nothing to draw.
    """
    protocol, datasets, shots = query.protocol, query.datasets, query.shots
    info = protocol_info(protocol)
    if metric is not None and metric not in info.metrics:
        raise UserError(f"{protocol} has no metric {metric!r}; known: {', '.join(info.metrics)}")
    chosen = metric or info.headline
    board = query.board
    scored = {int(count) for count in query.frame.loc[query.frame["protocol"] == protocol, "shots"]} & set(shots)
    at = max(scored, default=max(shots, default=1))
    count = at if info.by_shots else None
    shown = {
        name: {label: _bar(value(cell), cell.low, cell.high) for label, cell in cells.items()}
        for name, cells in (
            ("average", accuracies(board, chosen, shots=count)),
            *((name, accuracies(board, chosen, name, count)) for name, _ in datasets),
        )
    }
    # From the bottom up: the worst first, the reference last.
    order = [row.label for row in reversed(board.tables[0].rows) if any(row.label in each for each in shown.values())]
    something(board, order)
    words = METRICS[chosen].words
    shot = f" at {counted_shots(at)}" if info.by_shots else ""
    return _drawn(
        shown,
        {"average": "Average", **dict(datasets)},
        order,
        f"{board.title}: {words}{shot}",
        f"{words[:1].upper()}{words[1:]} in %",
        board.miniature,
        width,
        accuracies=True,
    )


def gains(
    query: BoardQuery,
    reference: str,
    *,
    metric: Metric | None = None,
    shots: int | None = None,
    width: float = PAGE,
) -> "Figure":
    """Points of every method above a reference: a panel for the average and one for each dataset.

    Differences are over the seeds that both have. Intervals are 95 %: over seeds on a dataset, over datasets and seeds
    for the average.

    Args:
        query: Which leaderboard.
        reference: A method's label.
        metric: As in `read_scores`.
        shots: As in `read_scores`.
        width: The width in inches: `PAGE`, or `COLUMN` for one of two columns.

    Returns:
        The plot, in points.

    Raises:
        UserError: As `read_scores` and `against` do.
        NoScoresError: There is nothing to draw.
    """
    scores = read_scores(query, metric=metric, shots=shots)
    comparisons = against(scores, reference)
    if not comparisons:
        raise NoScoresError(
            f"nothing to draw: no method shares a dataset and seed with {reference} in {query.protocol}"
        )
    comparisons.sort(key=lambda each: (each.average, each.first))
    titles = {"average": "Average", **dict(scores.datasets)}
    shown: dict[str, dict[str, _Bar]] = {name: {} for name in titles}
    for each in comparisons:
        shown["average"][each.first] = _bar(each.average, each.low, each.high)
        for difference in each.datasets:
            over = difference.spread
            shown[difference.dataset][each.first] = _bar(over.mean, over.low, over.high)
    heading = title_of(query.protocol, query.rows.only("suite"))
    text = f"{heading}: {scores.words}, points above {names_within([reference], width)[reference]}"
    return _drawn(shown, titles, [each.first for each in comparisons], text, "Points", scores.miniature, width)


def _bar(centre: float, low: float | None, high: float | None) -> _Bar:
    return _Bar(centre, centre if low is None else low, centre if high is None else high)


def _drawn(
    shown: Mapping[str, Mapping[str, _Bar]],
    titles: Mapping[str, str],
    order: Sequence[str],
    text: str,
    unit: str,
    miniature: bool,
    width: float,
    *,
    accuracies: bool = False,
) -> "Figure":
    """The plot with all its panels. Accuracies are printed beside their bars, and the axis ends at 100."""
    from matplotlib.figure import Figure

    names = names_within(order, width)
    room = width - 0.3 - text_width(names.values(), SMALL)
    across = max(1, min(_ACROSS, len(shown), int(room / _PANEL)))
    rows = -(-len(shown) // across)
    headings = {name: lines_within(titles[name], room / across) for name in shown}
    ends = [1.05 * end for each in shown.values() for bar in each.values() for end in bar]
    low, high = min(0.0, *ends), max(0.0, *ends)
    if accuracies:
        low, high = 0.0, min(100.0, high)
    if high == low:  # all values are 0
        high = low + 1.0
    with styled():
        figure = Figure(figsize=(width, 1.0), layout="constrained")
        above = title(figure, text, miniature)
        lines = sum(max(map(len, list(headings.values())[row * across : (row + 1) * across])) for row in range(rows))
        figure.set_figheight(0.45 + above + _TITLE * lines + rows * (0.36 + _BAR * len(order)))
        for place, (axes, (key, values)) in enumerate(
            zip(panels(figure, len(shown), across), shown.items(), strict=True)
        ):
            _panel(axes, values, order, numbers=accuracies)
            axes.set_title("\n".join(headings[key]), y=1.0)
            if place % across == 0:
                axes.set_yticks(range(len(order)), [names[label] for label in order])
            else:
                axes.set_yticks([])
            axes.set_xlim(low, high)
        figure.supxlabel(unit, fontsize=8)
    return figure


def _panel(axes: "Axes", values: Mapping[str, _Bar], order: Sequence[str], *, numbers: bool) -> None:
    axes.set_ylim(-0.6, len(order) - 0.4)
    axes.tick_params(axis="y", length=0)
    ticks(axes, grid="x")
    drawn = [(place, values[label]) for place, label in enumerate(order) if label in values]
    for colour, hatch, gained in ((GAIN, "", True), (LOSS, "////", False)):
        places = [place for place, bar in drawn if (bar.value >= 0) is gained]
        lengths = [bar.value for _, bar in drawn if (bar.value >= 0) is gained]
        axes.barh(places, lengths, height=0.78, color=colour, hatch=hatch, edgecolor="white", linewidth=0)
    axes.errorbar(
        [bar.value for _, bar in drawn],
        [place for place, _ in drawn],
        xerr=[[bar.value - bar.low for _, bar in drawn], [bar.high - bar.value for _, bar in drawn]],
        fmt="none",
        ecolor=_INK,
        elinewidth=0.8,
        capsize=1.5,
        capthick=0.8,
    )
    texts = {place: f"{values[label].value:.1f}" if label in values else "–" for place, label in enumerate(order)}
    for place, text in texts.items():
        if numbers or text == "–":
            axes.annotate(text, (0, place), (3, 0), textcoords="offset points", va="center", color=_INK, **_INSIDE)
    axes.axvline(0, color=_INK, linewidth=0.7)
