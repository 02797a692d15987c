"""The plane of base and novel accuracy, with contours of equal harmonic mean."""

from typing import TYPE_CHECKING, Any

from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.plots.bulk import bulk, bulk_limits, edge, ends
from promptarena.benchmark.plots.cells import absent, accuracies, half_width, something, value
from promptarena.benchmark.plots.inline import owned
from promptarena.benchmark.plots.labels import Box, name_points
from promptarena.benchmark.plots.names import names_within
from promptarena.benchmark.plots.style import PAGE, SMALLEST, SOFT, heading, looks, styled, text_width, ticks, wide

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CONTOURS = 6
"""About how many contours are drawn."""
_SHAPE = 0.62
"""Height of the axes of a full page's width, as a share of the width."""


def plane(query: BoardQuery, *, width: float = PAGE) -> "Figure":
    """Base against novel accuracy, averages over the datasets, with 95 % Student t intervals over seeds.

    Lines through the reference show who is above it. The axes follow the bulk of the methods; one that is far away is
    drawn at the edge with its value.

    Args:
        query: Which leaderboard, of a protocol with both metrics. Methods with an incomplete average are named in the
            title, not drawn.
        width: The width in inches: `PAGE`, or `COLUMN` for one of two columns.

    Returns:
        The plot, in percent.

    Raises:
        UserError: As `leaderboard` does.
        NoScoresError: There is nothing to draw.
    """
    from matplotlib.figure import Figure

    board = query.board
    base, novel = accuracies(board, "base"), accuracies(board, "novel")
    shown = [label for label in base if label in novel]
    something(board, shown)
    styles, names = looks(shown), names_within(shown, width)
    reach = [bulk([value(of[label]) for label in shown]) for of in (base, novel)]
    inside = [
        label
        for label in shown
        if all(low <= value(of[label]) <= high for of, (low, high) in zip((base, novel), reach, strict=True))
    ] or shown
    limits = [
        bulk_limits([value(of[label]) for label in inside], [half_width(of[label]) for label in inside])
        for of in (base, novel)
    ]
    # More names need more room; at column width the axes are nearly square.
    high = width * (_SHAPE if wide(width) else 0.95) * (1 + max(0, len(shown) - 24) / 60)
    with styled():
        count = len(query.datasets)
        over = f"averages over {count} dataset{'' if count == 1 else 's'}"
        figure = Figure(figsize=(width, high + 0.45))
        top = heading(figure, f"{board.title}: {over}", board.miniature, absent(board, shown))
        axes = figure.add_axes((0.6 / width, 0.42 / (high + 0.45), 1 - 0.68 / width, top - 0.42 / (high + 0.45)))
        axes.set(xlim=limits[0], ylim=limits[1], xlabel="Base accuracy in %", ylabel="Novel accuracy in %")
        ticks(axes, grid=None)
        taken = _contours(axes)
        lines: list[Artist] = []
        reference = board.reference_label(query.reference)
        if reference in shown:
            dashed: Any = {"color": SOFT, "linewidth": 0.7, "linestyle": (0, (4, 2)), "zorder": 0}
            lines.append(axes.plot([value(base[reference])] * 2, limits[1], **dashed)[0])
            lines.append(axes.plot(limits[0], [value(novel[reference])] * 2, **dashed)[0])
        points: dict[str, tuple[float, float]] = {}
        drawn: dict[str, list[Artist]] = {}
        texts = dict(names)
        for label in reversed(shown):
            look, x, y = styles[label], base[label], novel[label]
            at, below = edge(value(x), *limits[0])
            up, beside = edge(value(y), *limits[1])
            points[label] = (at, up)
            texts[label] = " ".join(filter(None, [names[label], below, beside.replace("◂", "▾").replace("▸", "▴")]))
            drawn[label] = [*axes.plot(at, up, linestyle="none", clip_on=False, zorder=3, **look.marks(4.5))]
            if not (below or beside):
                drawn[label] += _interval(axes, (value(x), value(y)), half_width(x), look.colour, upright=False)
                drawn[label] += _interval(axes, (value(x), value(y)), half_width(y), look.colour, upright=True)
            lines += drawn[label][1:]
        named = name_points(axes, points, texts, SMALLEST, taken, lines)
        for label in shown:
            owned(label, *drawn[label], *named[label])
    return figure


def _interval(axes: "Axes", at: tuple[float, float], half: float, colour: str, *, upright: bool) -> "list[Artist]":
    """Draw an interval; an arrow at the edge says that it goes on."""
    if not half:
        return []
    limits = axes.get_ylim() if upright else axes.get_xlim()
    start, end, beyond = ends(at[upright], half, *limits)
    along, across = [start, end], [at[not upright]] * 2
    look: Any = {"color": colour, "linewidth": 0.7, "alpha": 0.45, "zorder": 2}
    drawn: list[Artist] = [*axes.plot(*((across, along) if upright else (along, across)), **look)]
    for edge_at in beyond:
        first = edge_at == limits[0]
        marker = ("v" if first else "^") if upright else ("<" if first else ">")
        spot = ([at[0]], [edge_at]) if upright else ([edge_at], [at[1]])
        drawn += axes.plot(*spot, marker=marker, markersize=2.2, clip_on=False, **look)
    return drawn


def _contours(axes: "Axes") -> list[Box]:
    """Draw contours of equal harmonic mean, labelled at the upper or right end. Returns where their labels are."""
    import numpy as np
    from matplotlib.ticker import MaxNLocator

    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    # From 0.1 on: at (0, 0) the harmonic mean divides by zero.
    columns, heights = np.linspace(max(left, 0.1), right, 200), np.linspace(max(bottom, 0.1), top, 200)
    x, y = np.meshgrid(columns, heights)
    means = 2 * x * y / (x + y)
    levels = MaxNLocator(_CONTOURS).tick_values(float(means.min()), float(means.max()))
    axes.contour(x, y, means, levels=levels, colors=SOFT, linewidths=0.5, linestyles=":", zorder=0)
    scale = 72 / axes.figure.dpi
    taken: list[Box] = []
    for level in levels:
        for at in _ends(float(level), (left, right), (bottom, top)):
            words = f"HM {level:g}"
            length = 72 * text_width([words], SMALLEST) + 5
            spot = axes.transData.transform(at) * scale
            end, height = (float(each) for each in spot)
            low, left_edge = float(axes.bbox.y0) * scale + 15, float(axes.bbox.x0) * scale + length
            near = any(abs(end - box[2]) < 30 and abs(height - box[3]) < 12 for box in taken)
            if height < low or end < left_edge or near:
                continue
            axes.annotate(
                words,
                at,
                (-1, -1.5),
                textcoords="offset points",
                ha="right",
                va="top",
                fontsize=SMALLEST,
                color=SOFT,
            )
            taken.append((end - length, height - 11, end, height))
            break
    return taken


def _ends(level: float, across: tuple[float, float], up: tuple[float, float]) -> list[tuple[float, float]]:
    """Where a contour leaves the axes at the right or at the top."""
    right, top = across[1], up[1]
    ends = []
    if 2 * right > level and up[0] < (y := level * right / (2 * right - level)) <= top:
        ends.append((right, y))
    if 2 * top > level and across[0] < (x := level * top / (2 * top - level)) <= right:
        ends.append((x, top))
    return ends
