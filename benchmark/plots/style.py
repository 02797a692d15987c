"""What all figures share: fonts, a look per method that needs no colour to be told from others, and files."""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Literal

from promptarena.benchmark.core.files import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def drawable(text: str) -> str:
    """The text with U+4E2D and the like instead of characters that cannot be drawn; line ends are kept."""
    known = _known()
    return "".join(each if ord(each) in known or each == "\n" else f"U+{ord(each):04X}" for each in text)


def make_drawable(figure: "Figure") -> None:
    """Replace what cannot be drawn in all texts of a figure."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        spelt = text.get_text()
        if drawable(spelt) != spelt:
            text.set_text(drawable(spelt))


@cache
def _known() -> frozenset[int]:
    from matplotlib.font_manager import findfont
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(findfont("DejaVu Sans")).get_charmap())


if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Format = Literal["png", "svg", "pdf"]
FORMATS: tuple[Format, ...] = ("png", "svg", "pdf")

PAGE = 7.2
"""Inches across the text of a page."""
SMALL = 7.5
"""Points of the type of ticks and legends."""
LABEL = 34
"""Characters of a method's name that are shown; a longer one loses its middle."""
_DPI = 200
_TITLE_LETTER = 0.066
_LEGEND_GAPS = 0.5
MINIATURE = "Miniature: never compare with published figures."

# Okabe and Ito's colours without the yellow, which is lost on white.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000", "#e69f00", "#56b4e9")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", "p", ">", "h")
_FILLS: tuple[Literal["full", "none", "left", "bottom"], ...] = ("full", "none", "left", "bottom")
_LINES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1.5, 1, 1.5)), (0, (3, 1, 1, 1, 1, 1)))
_METADATA: Mapping[Format, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Creator": None, "Date": None},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
}


@dataclass(frozen=True)
class Look:
    """How a method is drawn. Up to 44 methods differ in marker and filling alone, so in greyscale too."""

    colour: str
    marker: str
    fill: Literal["full", "none", "left", "bottom"]
    line: Any

    def marks(self, size: float = 5.5) -> dict[str, Any]:
        """Arguments of `Axes.plot` for points of this look."""
        return {
            "color": self.colour,
            "marker": self.marker,
            "markersize": size,
            "fillstyle": self.fill,
            "markerfacecoloralt": "white",
            "markeredgecolor": self.colour,
            "markeredgewidth": 0.9,
        }

    def curve(self, size: float = 4.0) -> dict[str, Any]:
        """Arguments of `Axes.plot` for a line of this look."""
        return self.marks(size) | {"linestyle": self.line, "linewidth": 1.1}


def looks(labels: Sequence[str]) -> dict[str, Look]:
    """A look for each label; the same labels in whatever order get the same looks."""
    return {
        label: Look(
            colour=COLOURS[place % len(COLOURS)],
            marker=_MARKERS[place % len(_MARKERS)],
            fill=_FILLS[place // len(_MARKERS) % len(_FILLS)],
            line=_LINES[place % len(_LINES)],
        )
        for place, label in enumerate(sorted(labels))
    }


@contextmanager
def styled() -> Iterator[None]:
    """The settings to draw figures under: small type, and no mathematics in names."""
    import matplotlib

    settings: dict[Any, Any] = {
        "font.size": 8,
        "axes.titlesize": 8,
        "axes.labelsize": 8,
        "legend.fontsize": SMALL,
        "figure.titlesize": 8.5,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.7,
        "axes.axisbelow": True,
        "font.family": "DejaVu Sans",
        "text.parse_math": False,
    }
    with matplotlib.rc_context(settings):
        yield


def rendered(figure: "Figure", format: Format) -> bytes:
    """The figure as a file of this format, the same bytes every time with the same matplotlib."""
    import matplotlib

    make_drawable(figure)
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "promptarena", "pdf.fonttype": 42}):
        figure.savefig(buffer, format=format, dpi=_DPI, metadata=_METADATA[format])
    return buffer.getvalue()


def save(figure: "Figure", folder: Path, stem: str) -> list[Path]:
    """Write stem.png, stem.svg and stem.pdf into a folder, made if missing. Raises UserError when it cannot be
    written."""
    paths = [folder / f"{stem}.{format}" for format in FORMATS]
    for path, format in zip(paths, FORMATS, strict=True):
        write_whole(path, rendered(figure, format))
    return paths


def shortened(labels: Sequence[str], limit: int = LABEL) -> dict[str, str]:
    """What figures call each label: without the middle where it is too long, unless two would then be called the
    same."""
    tail = limit // 2 - 1
    whole = {label: drawable(label) for label in labels}
    short = {
        label: name if len(name) <= limit else f"{name[: limit - tail - 1]}…{name[-tail:]}"
        for label, name in whole.items()
    }
    twice = {name for name in short.values() if list(short.values()).count(name) > 1}
    return {label: whole[label] if name in twice else name for label, name in short.items()}


def title(figure: "Figure", text: str, miniature: bool, notes: Sequence[str] = ()) -> None:
    """Put a title above a figure, and below the title notes and whether it shows a miniature."""
    letters = int(figure.get_figwidth() / _TITLE_LETTER)
    lines = [text, *notes, *([MINIATURE] if miniature else [])]
    figure.suptitle("\n".join(part for line in lines for part in wrap(line, letters)))


def text_width(texts: Iterable[str], size: float) -> float:
    """Inches that the widest of these takes in type of `size` points; call it under `styled`."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    font = FontProperties(size=size)
    return max((float(TextPath((0, 0), text, prop=font).get_extents().width) / 72 for text in texts), default=0.0)


def legend_columns(labels: Sequence[str], width: float) -> int:
    """How many columns of a legend of these labels fit into `width` inches."""
    return max(1, min(len(labels), int(width / (_LEGEND_GAPS + text_width(shortened(labels).values(), SMALL)))))


def legend(
    figure: "Figure",
    entries: "Mapping[str, Artist]",
    columns: int,
    place: Literal["outside right center", "outside lower center"],
) -> None:
    """A legend outside the axes, with names as they are spelt."""
    names = shortened(list(entries))
    drawn = figure.legend(
        list(entries.values()),
        [str(number) for number in range(len(entries))],
        loc=place,
        ncols=columns,
        frameon=False,
        handlelength=2.4,
        columnspacing=1.2,
        labelspacing=0.35,
    )
    for text, label in zip(drawn.get_texts(), entries, strict=True):
        text.set_text(names[label])


def sample_line(look: Look, curve: bool) -> "Artist":
    """What a legend shows for a look: its marker, on its line for a curve."""
    from matplotlib.lines import Line2D

    return Line2D([], [], **(look.curve() if curve else look.marks() | {"linestyle": "none"}))


def ticks(axes: "Axes", grid: Literal["x", "y", "both"] | None = "both") -> None:
    """Small ticks, and pale lines at them along these axes."""
    axes.tick_params(labelsize=SMALL)
    if grid:
        axes.grid(axis=grid, color="#dddddd", linewidth=0.6)


def within_percent(axes: "Axes") -> None:
    """Let the y axis end a little outside 0 and 100 where intervals go on."""
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, -2), min(high, 102))


def panels(figure: "Figure", count: int, across: int) -> "list[Axes]":
    """Axes in a grid, `across` in a row; those past `count` are taken away."""
    grid = figure.subplots(-(-count // across), across, squeeze=False)
    axes = list(grid.flat)
    for spare in axes[count:]:
        spare.remove()
    return axes[:count]
