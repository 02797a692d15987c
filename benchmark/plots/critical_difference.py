"""The critical-difference diagram (Demšar, JMLR 7, 2006)."""

from textwrap import wrap
from typing import TYPE_CHECKING

from promptarena.benchmark.core.protocol_table import Metric
from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.leaderboard.captions import title_of
from promptarena.benchmark.plots.inline import owned
from promptarena.benchmark.plots.style import GROUP, INK, MINIATURE, PAGE, SMALL, shortened, styled, text_width
from promptarena.benchmark.statistics.ranks import Ranking, rank
from promptarena.benchmark.statistics.scores import read_scores
from promptarena.benchmark.statistics.sentences import p_words, sample
from promptarena.benchmark.statistics.significance import ALPHA

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# In inches: the heights of a method's row, of a group's bar and of a line of the heading, and the least width of the
# scale.
_ROW, _BAR, _LINE, _SCALE = 0.19, 0.1, 0.15, 3.0
_LOOSE = 12
"""Up to so many pairs that no bar joins are drawn as thin lines."""
_LINE_LETTERS = 115
"""Characters in a line of the heading."""
_INK, _GROUP = INK, GROUP


def critical_difference(query: BoardQuery, *, metric: Metric | None = None, shots: int | None = None) -> "Figure":
    """Mean ranks over datasets on a line, the best on the left, with bars over methods that do not differ
    significantly.

    A bar joins neighbours of which no two differ significantly, by the test that the heading names. A thin line between
    two dots joins a further pair that does not.

    Args:
        query: Which leaderboard.
        metric: As in `read_scores`.
        shots: As in `read_scores`.

    Returns:
        The plot, in ranks.

    Raises:
        UserError: As `read_scores` does.
        NoScoresError: As `rank` does.
    """
    from matplotlib.figure import Figure

    scores = read_scores(query, metric=metric, shots=shots)
    ranking = rank(scores)
    names = shortened([each.label for each in ranking.methods])
    first = f"{title_of(query.protocol, query.rows.only('suite'))}: mean ranks by {scores.words}"
    heading = [f"{first}, {sample(len(ranking.datasets), ranking.seeds)}", _test_line(ranking)]
    below = [*_remarks(ranking), *([MINIATURE] if scores.miniature else [])]
    count = len(ranking.methods)
    rows = (count + 1) // 2
    top = 0.1 + _LINE * len(heading) + 0.45 + (0.25 if ranking.critical_difference is not None else 0.0)
    loose = ranking.loose if len(ranking.loose) <= _LOOSE else ()
    first_row = top + 0.2 + _BAR * (len(ranking.groups) + len(loose))
    with styled():
        margin = 0.85 + text_width(names.values(), 8)
        width = max(PAGE, 2 * margin + _SCALE)
        step = (width - 2 * margin) / max(1, count - 1)
        ranks = {each.label: margin + (each.rank - 1) * step for each in ranking.methods}
        end_of_rows = first_row + _ROW * rows + 0.05
        height = end_of_rows + _LINE * len(below)
        figure = Figure(figsize=(width, height))
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set(xlim=(0, width), ylim=(height, 0))
        axes.axis("off")
        for place, line in enumerate(heading):
            axes.text(width / 2, 0.1 + _LINE * (place + 0.5), line, ha="center", va="center", color=_INK)
        for place, line in enumerate(below):
            axes.text(0.1, end_of_rows + _LINE * (place + 0.3), line, va="center", color=_INK, fontsize=SMALL)
        _scale(axes, margin, width - margin, count, top)
        if ranking.critical_difference is not None:
            _difference(axes, margin, margin + ranking.critical_difference * step, ranking, top - 0.5)
        for place, each in enumerate(ranking.methods):
            left = place < rows
            level = first_row + _ROW * ((place if left else count - 1 - place) + 0.3)
            end = margin - 0.25 if left else width - margin + 0.25
            drawn: list[Artist] = [
                *axes.plot([ranks[each.label]] * 2 + [end], [top, level, level], color=_INK, linewidth=0.7, zorder=1)
            ]
            name = f"{names[each.label]}  {each.rank:.2f}" if left else f"{each.rank:.2f}  {names[each.label]}"
            aside = end + (-0.04 if left else 0.04)
            drawn.append(axes.text(aside, level, name, ha="right" if left else "left", va="center", color=_INK))
            owned(each.label, *drawn)
        for place, group in enumerate(ranking.groups):
            ends = [ranks[group[0]] - 0.04, ranks[group[-1]] + 0.04]
            axes.plot(ends, [top + 0.12 + _BAR * place] * 2, color=_GROUP, linewidth=3, solid_capstyle="butt", zorder=2)
        for place, pair in enumerate(loose, len(ranking.groups)):
            ends = [ranks[each] for each in pair]
            axes.plot(ends, [top + 0.12 + _BAR * place] * 2, color=_GROUP, linewidth=0.9, marker="o", markersize=3.2)
    return figure


def _scale(axes: "Axes", start: float, end: float, count: int, level: float) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.plot([start, end], [level, level], color=_INK, linewidth=0.9)
    ticks = [1, *(int(tick) for tick in MaxNLocator(8, integer=True).tick_values(1, count) if 1 < tick < count), count]
    spare = [tick for tick in ticks[1:-1] if tick - 1 > (count - 1) / 16 and count - tick > (count - 1) / 16]
    for tick in dict.fromkeys([1, *spare, count]):
        at = start + (tick - 1) * (end - start) / max(1, count - 1)
        axes.plot([at, at], [level - 0.07, level], color=_INK, linewidth=0.9)
        axes.text(at, level - 0.09, str(tick), ha="center", va="bottom")


def _difference(axes: "Axes", start: float, end: float, ranking: Ranking, level: float) -> None:
    """Draw the critical difference as a length."""
    axes.plot([start, end], [level, level], color=_INK, linewidth=1.2)
    for at in (start, end):
        axes.plot([at, at], [level - 0.04, level + 0.04], color=_INK, linewidth=1.2)
    words = f"critical difference {ranking.critical_difference:.2f}"
    axes.text((start + end) / 2, level - 0.05, words, ha="center", va="bottom", fontsize=7.5)


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
    return [line for part in lines for line in wrap(part, _LINE_LETTERS, max_lines=2)]
