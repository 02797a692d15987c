"""Legends below a figure's axes."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from promptarena.benchmark.plots.names import names_within
from promptarena.benchmark.plots.style import SMALL, Look, text_width

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_GAPS = 0.5
"""Width of a legend's column besides its text, in inches."""


def legend_columns(labels: Sequence[str], width: float) -> int:
    """How many legend columns of these labels fit into `width` inches."""
    names = names_within(labels, width).values()
    return max(1, min(len(labels), int(width / (_GAPS + text_width(names, SMALL)))))


def legend(figure: "Figure", styles: Mapping[str, Look], columns: int) -> None:
    """Draw a legend of curves below the axes, with the methods' names exactly as given."""
    from matplotlib.lines import Line2D

    drawn = figure.legend(
        [Line2D([], [], **look.curve()) for look in styles.values()],
        # Numbers first, names afterwards: matplotlib leaves out entries whose text begins with an underscore.
        [str(number) for number in range(len(styles))],
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        handlelength=2.4,
        columnspacing=1.2,
        labelspacing=0.35,
    )
    names = names_within(list(styles), figure.get_figwidth())
    for text, label in zip(drawn.get_texts(), styles, strict=True):
        text.set_text(names[label])
