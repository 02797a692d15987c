"""Confusion matrices: which classes a method takes for which."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.plots.style import (
    COLUMN,
    GRID,
    GROUP,
    PAGE,
    SMALLEST,
    SOFT,
    drawable,
    heading,
    styled,
    text_width,
)
from promptarena.benchmark.statistics.scores import NoScoresError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_CLASSES = 100
"""The most classes of a matrix that is drawn."""
_NAME = 22
"""The most characters shown of a class's name."""
_NAME_STEP = 0.105
"""The least distance between two names, in inches."""
_EDGE = 0.12
"""Free room at the edges, in inches."""

Matrices = Mapping[str, tuple[Sequence[str], Any]]
"""By the heading of a panel the C names of the classes, and (C, C) percentages of each row's images."""


def confusion(matrices: Matrices, text: str, *, miniature: bool = False, width: float = PAGE) -> "Figure":
    """Confusion matrices: rows are the labels, columns the predicted classes, shades the share of the row's images.

    Args:
        matrices: The matrices.
        text: The title.
        miniature: Whether the run is of the miniature; the title then says so.
        width: The width in inches: `PAGE`, with matrices side by side, or `COLUMN`, with one below the other.

    Returns:
        The plot.

    Raises:
        UserError: There are more than MOST_CLASSES classes.
        NoScoresError: There is nothing to draw.
    """
    from matplotlib.figure import Figure

    if not matrices:
        raise NoScoresError("nothing to draw: no predictions are kept")
    most = max(len(classes) for classes, _ in matrices.values())
    if most > MOST_CLASSES:
        raise UserError(
            f"a confusion matrix is drawn for at most {MOST_CLASSES} classes, not for {most}; the board confusions "
            "names the pairs of classes"
        )
    across = len(matrices) if width > COLUMN else 1
    down = -(-len(matrices) // across)
    with styled():
        names = [[_shown(name) for name in classes] for classes, _ in matrices.values()]
        room = text_width((name for each in names for name in each), SMALLEST) + 0.1
        side = width / across - room - _EDGE
        tall = side + room + 0.25
        figure = Figure(figsize=(width, 1.0 + down * tall))
        words = (text, miniature, ["Rows: labels; columns: predictions; 100 % is the full colour"])
        above = (1 - heading(figure, *words)) * figure.get_figheight()
        figure.set_figheight(above + down * tall + _EDGE)
        heading(figure, *words)
        height = figure.get_figheight()
        for place, ((over, (classes, shares)), shown) in enumerate(zip(matrices.items(), names, strict=True)):
            left = (place % across) * width / across + room
            bottom = _EDGE + (down - 1 - place // across) * tall + room
            axes = figure.add_axes((left / width, bottom / height, side / width, side / height))
            step = max(1, int(-(-_NAME_STEP * len(classes) // side)))
            _draw(axes, over, shares, shown, step)
    return figure


def _draw(axes: "Axes", over: str, shares: Any, names: Sequence[str], step: int) -> None:
    from matplotlib.colors import LinearSegmentedColormap, to_rgb

    # The colour fades into the page, whatever the page's colour is.
    fading = LinearSegmentedColormap.from_list("shares", [(*to_rgb(GROUP), 0.0), (*to_rgb(GROUP), 1.0)])
    axes.imshow(shares, cmap=fading, vmin=0, vmax=100, interpolation="nearest")
    shown = range(0, len(names), step)
    axes.set_xticks(shown, [names[place] for place in shown], rotation=90, fontsize=SMALLEST)
    axes.set_yticks(shown, [names[place] for place in shown], fontsize=SMALLEST)
    axes.tick_params(length=1.5, width=0.5, color=SOFT, pad=1.5)
    axes.set_title(over)
    for spine in axes.spines.values():
        spine.set(visible=True, color=GRID, linewidth=0.7)


def _shown(name: str) -> str:
    text = drawable(name)
    return text if len(text) <= _NAME else f"{text[: _NAME - 1]}…"
