"""Averages with their intervals, a row for each method, beside the reference."""

from typing import TYPE_CHECKING, Any

from promptarena.benchmark.core.protocol_table import METRICS, protocol_info
from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.plots.bulk import bulk_limits, edge, ends
from promptarena.benchmark.plots.cells import absent, complete, half_width, something, value
from promptarena.benchmark.plots.inline import owned
from promptarena.benchmark.plots.names import names_within
from promptarena.benchmark.plots.style import INK, SMALL, SOFT, heading, looks, styled, text_width, ticks

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

_ROW = 0.17
"""Height of a row in inches."""
_BELOW = 0.42
"""Height of what is below the axes, in inches."""


def dots(query: BoardQuery, *, width: float = 5.0) -> "Figure":
    """The headline averages with 95 % Student t intervals over seeds, the best method on top.

    A line shows the reference. The axis follows the bulk of the methods; one that is far away is drawn at the edge with
    its value.

    Args:
        query: Which leaderboard. Few-shot shows the largest of its numbers of shots that was scored.
        width: The width in inches.

    Returns:
        The plot, in percent.

    Raises:
        UserError: As `leaderboard` does.
        NoScoresError: There is nothing to draw.
    """
    from matplotlib.figure import Figure

    board = query.board
    first, metric = board.tables[0], protocol_info(query.protocol).headline
    cells = next(filter(None, (complete(first, column) for column in first.headlines(metric))), {})
    something(board, list(cells))
    order = sorted(cells, key=lambda label: value(cells[label]))
    styles, names = looks([row.label for row in first.rows]), names_within(order, width)
    low, high = bulk_limits([value(cell) for cell in cells.values()], [half_width(cell) for cell in cells.values()])
    with styled():
        left = 0.15 + text_width(names.values(), SMALL)
        figure = Figure(figsize=(width, 0.85 + _ROW * len(order)))
        texts = board.title, board.miniature, absent(board, order)
        above = (1 - heading(figure, *texts)) * figure.get_figheight()
        figure.set_figheight(max(figure.get_figheight(), above + _ROW * len(order) + _BELOW))
        top = heading(figure, *texts)
        bottom = _BELOW / figure.get_figheight()
        axes = figure.add_axes((left / width, bottom, 1 - (left + 0.2) / width, top - bottom))
        axes.set(xlim=(low, high), ylim=(-0.7, len(order) - 0.3))
        reference = board.reference_label(query.reference)
        if reference in cells:
            axes.axvline(value(cells[reference]), color=SOFT, linewidth=0.9, linestyle=(0, (4, 2)), zorder=0)
        for place, label in enumerate(order):
            look, cell = styles[label], cells[label]
            at, note = edge(value(cell), low, high)
            drawn: list[Artist] = [*axes.plot(at, place, linestyle="none", clip_on=False, **look.marks(4.5))]
            if note:
                aside: Any = {"ha": "left" if at == low else "right", "xytext": (6 if at == low else -6, 0)}
                drawn.append(
                    axes.annotate(
                        note, (at, place), textcoords="offset points", va="center", fontsize=6.5, color=INK, **aside
                    )
                )
            else:
                start, end, beyond = ends(at, half_width(cell), low, high)
                drawn += axes.plot([start, end], [place] * 2, color=look.colour, linewidth=0.9, zorder=1)
                for edge_at in beyond:
                    marker = "<" if edge_at == low else ">"
                    drawn += axes.plot(edge_at, place, marker=marker, markersize=2.5, color=look.colour, clip_on=False)
            drawn.append(
                axes.text(
                    -0.06 / (1 - (left + 0.2) / width) / width,
                    place,
                    names[label],
                    ha="right",
                    va="center",
                    fontsize=SMALL,
                    transform=axes.get_yaxis_transform(),
                )
            )
            owned(label, *drawn)
        axes.set_yticks([])
        ticks(axes, grid="x")
        axes.set_xlabel(f"Average {METRICS[metric].words} in %")
    return figure
