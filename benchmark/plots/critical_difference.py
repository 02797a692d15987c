"""The critical-difference diagram (Demšar, JMLR 7, 2006)."""

from collections.abc import Mapping
from textwrap import shorten
from typing import TYPE_CHECKING, NamedTuple

from promptarena.benchmark.core.protocol_table import Metric
from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.leaderboard.captions import title_of
from promptarena.benchmark.plots.inline import owned
from promptarena.benchmark.plots.names import LABEL, shortened
from promptarena.benchmark.plots.style import (
    GROUP,
    INK,
    MINIATURE,
    PAGE,
    SMALL,
    SMALLEST,
    lines_within,
    styled,
    text_width,
    wide,
)
from promptarena.benchmark.statistics.ranks import Ranking, rank
from promptarena.benchmark.statistics.scores import read_scores
from promptarena.benchmark.statistics.sentences import p_words, sample
from promptarena.benchmark.statistics.significance import ALPHA

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# In inches: the heights of a method's row, of a group's bar and of a line of the heading, the empty margin at each
# side, and the gap between a name and its line.
_ROW, _BAR, _LINE, _EDGE, _GAP = 0.19, 0.1, 0.15, 0.06, 0.08
_SCALE = 0.4
"""The share of the width that the scale has at least; names are shortened for it."""
_LIMITS = (LABEL, 26, 20, 16, 12)
"""The most characters of a name that are tried."""
_LOOSE = 12
"""Up to so many pairs that no bar joins are drawn as thin lines."""
_REMARK = 230
"""The most characters of a remark."""
_TICK = 0.3
"""The least distance between two numbers of the scale, in inches."""
_INK, _GROUP = INK, GROUP


class _Scale(NamedTuple):
    """Where the ranks are: from `start` to `end` in inches, of so many methods with these names."""

    start: float
    end: float
    methods: int
    names: Mapping[str, str]

    @property
    def step(self) -> float:
        """The distance between two ranks in inches."""
        return (self.end - self.start) / max(1, self.methods - 1)

    def at(self, rank: float) -> float:
        """Where a rank is, in inches from the left."""
        return self.start + (rank - 1) * self.step


def critical_difference(
    query: BoardQuery, *, metric: Metric | None = None, shots: int | None = None, width: float = PAGE
) -> "Figure":
    """Mean ranks over datasets on a line, the best on the left, with bars over methods that do not differ
    significantly.

    A bar joins neighbours of which no two differ significantly, by the test that the heading names. A thin line between
    two dots joins a further pair that does not.

    Args:
        query: Which leaderboard.
        metric: As in `read_scores`.
        shots: As in `read_scores`.
        width: The width in inches: `PAGE`, or `COLUMN` for one of two columns.

    Returns:
        The plot, in ranks.

    Raises:
        UserError: As `read_scores` does.
        NoScoresError: As `rank` does.
    """
    from matplotlib.figure import Figure

    scores = read_scores(query, metric=metric, shots=shots)
    ranking = rank(scores)
    first = f"{title_of(query.protocol, query.rows.only('suite'))}: mean ranks by {scores.words}"
    first = f"{first}, {sample(len(ranking.datasets), ranking.seeds)}"
    heading = [line for text in (first, _test_line(ranking)) for line in lines_within(text, width)]
    remarks = [*_remarks(ranking), *([MINIATURE] if scores.miniature else [])]
    below = [line for text in remarks for line in lines_within(text, width)]
    count = len(ranking.methods)
    rows = (count + 1) // 2
    size = 8.0 if wide(width) else SMALLEST
    top = 0.1 + _LINE * len(heading) + 0.45 + (0.25 if ranking.critical_difference is not None else 0.0)
    loose = ranking.loose if len(ranking.loose) <= _LOOSE else ()
    first_row = top + 0.2 + _BAR * (len(ranking.groups) + len(loose))
    with styled():
        scale = _scale_of(ranking, width, size)
        ranks = {each.label: scale.at(each.rank) for each in ranking.methods}
        end_of_rows = first_row + _ROW * rows + 0.05
        height = end_of_rows + _LINE * len(below)
        figure = Figure(figsize=(width, height))
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set(xlim=(0, width), ylim=(height, 0))
        axes.axis("off")
        for place, line in enumerate(heading):
            axes.text(width / 2, 0.1 + _LINE * (place + 0.5), line, ha="center", va="center", color=_INK)
        for place, line in enumerate(below):
            axes.text(_EDGE, end_of_rows + _LINE * (place + 0.3), line, va="center", color=_INK, fontsize=SMALL)
        _draw_scale(axes, scale, top)
        if ranking.critical_difference is not None:
            _difference(axes, scale, ranking.critical_difference, top - 0.5)
        for place, each in enumerate(ranking.methods):
            left, at = place < rows, ranks[each.label]
            level = first_row + _ROW * ((place if left else count - 1 - place) + 0.3)
            name = _name(scale.names[each.label], each.rank, left)
            length = text_width([name], size) + _GAP
            end = min(at, _EDGE + length) if left else max(at, width - _EDGE - length)
            drawn: list[Artist] = [*axes.plot([at, at, end], [top, level, level], color=_INK, linewidth=0.7, zorder=1)]
            aside, side = (_EDGE, "left") if left else (width - _EDGE, "right")
            drawn.append(axes.text(aside, level, name, ha=side, va="center", color=_INK, fontsize=size))
            owned(each.label, *drawn)
        for place, group in enumerate(ranking.groups):
            ends = [ranks[group[0]] - 0.04, ranks[group[-1]] + 0.04]
            axes.plot(ends, [top + 0.12 + _BAR * place] * 2, color=_GROUP, linewidth=3, solid_capstyle="butt", zorder=2)
        for place, pair in enumerate(loose, len(ranking.groups)):
            ends = [ranks[each] for each in pair]
            axes.plot(ends, [top + 0.12 + _BAR * place] * 2, color=_GROUP, linewidth=0.9, marker="o", markersize=3.2)
    return figure


def _name(name: str, rank: float, left: bool) -> str:
    return f"{name}  {rank:.2f}" if left else f"{rank:.2f}  {name}"


def _scale_of(ranking: Ranking, width: float, size: float) -> _Scale:
    """The longest names that leave the scale its share of the width, and the scale between them.

    Names stand at the edges of the figure. A name may be below the scale, but not beyond its own method's rank.
    """
    count, labels = len(ranking.methods), [each.label for each in ranking.methods]
    for limit in _LIMITS:
        names = shortened(labels, limit)
        sides: tuple[list[tuple[float, float]], list[tuple[float, float]]] = ([], [])
        for place, each in enumerate(ranking.methods):
            left, share = place < (count + 1) // 2, (each.rank - 1) / max(1, count - 1)
            length = _EDGE + text_width([_name(names[each.label], each.rank, left)], size) + _GAP
            sides[not left].append((length, share if left else 1 - share))
        low, high = 0.0, width - 4 * _EDGE
        for _ in range(30):  # the room that names need grows with the scale
            middle = (low + high) / 2
            low, high = (middle, high) if middle + sum(_margins(sides, middle)) <= width else (low, middle)
        if low >= _SCALE * width:
            break
    start, _ = _margins(sides, low)
    return _Scale(start, start + low, count, names)


def _margins(sides: tuple[list[tuple[float, float]], ...], length: float) -> list[float]:
    """What must be left and right of a scale of this length: (length, share of the scale) of each name."""
    return [max([2 * _EDGE, *(name - share * length for name, share in side)]) for side in sides]


def _draw_scale(axes: "Axes", scale: _Scale, level: float) -> None:
    from matplotlib.ticker import MaxNLocator

    count = scale.methods
    axes.plot([scale.start, scale.end], [level, level], color=_INK, linewidth=0.9)
    most = max(1, min(8, int((scale.end - scale.start) / _TICK)))
    ticks = [int(tick) for tick in MaxNLocator(most, integer=True).tick_values(1, count) if 1 < tick < count]
    spare = [tick for tick in ticks if min(tick - 1, count - tick) * scale.step > 0.7 * _TICK]
    for tick in dict.fromkeys([1, *spare, count]):
        at = scale.at(tick)
        axes.plot([at, at], [level - 0.07, level], color=_INK, linewidth=0.9)
        axes.text(at, level - 0.09, str(tick), ha="center", va="bottom")


def _difference(axes: "Axes", scale: _Scale, difference: float, level: float) -> None:
    """Draw the critical difference as a length; an arrow says that it is longer than the figure has room for."""
    start, whole, most = scale.start, scale.start + difference * scale.step, axes.get_xlim()[1] - _EDGE
    end = min(whole, most)
    axes.plot([start, end], [level, level], color=_INK, linewidth=1.2)
    axes.plot([start, start], [level - 0.04, level + 0.04], color=_INK, linewidth=1.2)
    if end < whole:
        axes.plot(end, level, color=_INK, marker=">", markersize=3)
    else:
        axes.plot([end, end], [level - 0.04, level + 0.04], color=_INK, linewidth=1.2)
    words = f"critical difference {difference:.2f}"
    half = text_width([words], SMALL) / 2
    middle = min(max((start + end) / 2, _EDGE + half), most - half)
    axes.text(middle, level - 0.05, words, ha="center", va="bottom", fontsize=SMALL)


def _test_line(ranking: Ranking) -> str:
    """The second line of the heading: what decides whether methods differ."""
    if ranking.friedman is not None and ranking.friedman > ALPHA:
        return f"No two differ significantly ({p_words(ranking.friedman, 'Friedman p')})"
    if ranking.one_training:
        return "One seed, one training for all targets: nothing can be said of other seeds"
    if ranking.test is None:
        return "Too few datasets for a significant difference"
    friedman = "" if ranking.friedman is None else f"; {p_words(ranking.friedman, 'Friedman p')}"
    return f"Bars: not significantly different by {ranking.test} at level {ALPHA} and the intervals{friedman}"


def _remarks(ranking: Ranking) -> list[str]:
    """The lines below the diagram: pairs that no bar joins, and what was left out."""
    lines = []
    if len(ranking.loose) > _LOOSE:
        lines.append(f"{len(ranking.loose)} further pairs that no bar joins are not significantly different.")
    elif ranking.loose:
        lines.append("A thin line joins a further pair that is not significantly different.")
    if ranking.left_out:
        lines.append(f"Left out: {'; '.join(ranking.left_out)}")
    return [shorten(line, _REMARK) for line in lines]
