"""What all plots share: fonts, a look per method that is distinct without colour, and files."""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Literal
from zlib import crc32

from promptarena.benchmark.core.files import write_atomically
from promptarena.benchmark.plugins.families import FAMILIES, OTHER, family_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def drawable(text: str) -> str:
    """The text with a code point, such as U+4E2D, for each character that the font lacks; line breaks are kept."""
    known = _known()
    return "".join(each if ord(each) in known or each == "\n" else f"U+{ord(each):04X}" for each in text)


def make_drawable(figure: "Figure") -> None:
    """Replace the characters that the font lacks in all texts of a plot."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        spelt = text.get_text()
        if drawable(spelt) != spelt:
            text.set_text(drawable(spelt))


def finish(figure: "Figure") -> None:
    """Make a plot ready to be written: its characters drawable, and its axes placed, once for all formats.

    Left to itself, matplotlib would place them again for each file, and for that draw the whole plot once more.
    """
    make_drawable(figure)
    if engine := figure.get_layout_engine():
        dpi = figure.dpi
        figure.set_dpi(DPI)  # at fewer dots per inch text is measured narrower than it will be
        engine.execute(figure)
        figure.set_dpi(dpi)
        figure.set_layout_engine(None)


@cache
def _known() -> frozenset[int]:
    from matplotlib.font_manager import findfont
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(findfont("DejaVu Sans")).get_charmap())


if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Format = Literal["png", "svg", "pdf"]
FORMATS: tuple[Format, ...] = ("png", "svg", "pdf")

PAGE = 7.2
"""Width of a page's text, in inches."""
COLUMN = 3.3
"""Width of one of two columns, in inches."""
SMALLEST = 6.5
"""Font size of names beside points, in points."""
SMALL = 7.5
"""Font size of ticks and legends, in points."""
_WIDE = 5.0
"""From this width on, in inches, a figure is laid out for a page, below it for a column."""
DPI = 200
"""Resolution of PNG files."""
_TITLE_LETTER = 0.066
"""Mean width of a letter of the title, in inches."""
_TITLE_LINE = 0.145
"""Height of a line of the title, in inches."""
MINIATURE = "Miniature: never compare with published figures."

INK, SOFT, GRID, GROUP = "#222222", "#666666", "#dddddd", "#0072b2"
"""Colours that are not a method's: of text, of reference lines and contours, of the grid, of bars over groups."""

GAIN, LOSS = "#a9c6e3", "#efc3a4"
"""Colours of bars."""
# Hues after Okabe and Ito, which colour-blind readers can distinguish, as dark as is needed for marks on white and on
# black.
HUES: Mapping[str, str] = {
    "untrained": INK,
    "context": "#0072b2",
    "deep-prompts": "#d55e00",
    "adapters": "#009e73",
    "low-rank": "#8a5a2b",
    "weights": "#c2528b",
    "cache": "#c49a1a",
    "combined": "#9a7be0",
    OTHER: "#5b8fa8",
}
"""The colour of each family of methods."""
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", "p", ">", "h")
_FILLS: tuple[Literal["full", "none", "left", "bottom"], ...] = ("full", "none", "left", "bottom")
_BUILT_IN = [method for methods in FAMILIES.values() for method in methods]
_LINES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1.5, 1, 1.5)), (0, (3, 1, 1, 1, 1, 1)))
_METADATA: Mapping[Format, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Creator": None, "Date": None},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
}
"""Program names and dates that matplotlib must not write, so that the same plot has the same bytes."""


@dataclass(frozen=True)
class Look:
    """How a method is drawn. Up to 44 methods differ in marker and filling alone, and so in greyscale too."""

    colour: str
    marker: str
    fill: Literal["full", "none", "left", "bottom"]
    line: Any

    def marks(self, size: float = 5.5) -> dict[str, Any]:
        """Arguments of `Axes.plot` for points; `size` in points."""
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
        """Arguments of `Axes.plot` for a line; `size` of its markers in points."""
        return self.marks(size) | {"linestyle": self.line, "linewidth": 1.1}


def looks(labels: Sequence[str]) -> dict[str, Look]:
    """A look for each label, by its name alone: a method looks the same in every figure, and families share a hue.

    Only if a method that is not built in would look like another of these labels, it takes the next free look.
    """
    taken: dict[tuple[int, int], str] = {}
    found = {}
    for label in sorted(set(labels), key=lambda label: (label not in _BUILT_IN, label)):
        method = _method(label)
        place = _BUILT_IN.index(method) if label in _BUILT_IN else crc32(label.encode())
        places = len(_MARKERS) * len(_FILLS)
        free = (at % places for at in range(place, place + places))
        at = next((at for at in free if (at % len(_MARKERS), at // len(_MARKERS)) not in taken), place % places)
        taken[at % len(_MARKERS), at // len(_MARKERS)] = label
        found[label] = Look(
            colour=HUES[family_of(method)],
            marker=_MARKERS[at % len(_MARKERS)],
            fill=_FILLS[at // len(_MARKERS)],
            line=_LINES[at % len(_LINES)],
        )
    return {label: found[label] for label in labels}


def _method(label: str) -> str:
    """The built-in method of a label, with settings or not; the label itself if there is none."""
    for method in _BUILT_IN:
        if label == method or label.startswith((f"{method}(", f"{method}:", f"{method} (")):
            return method
    return label


@contextmanager
def styled() -> Iterator[None]:
    """The matplotlib settings of all plots: small type, and no mathematics in names."""
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
    """The plot as the bytes of a file, which are the same every time with the same matplotlib.

    The background of SVG and PDF is transparent.
    """
    import matplotlib

    finish(figure)
    buffer = io.BytesIO()
    # Without a fixed salt the ids in an SVG are random. Type 42 embeds TrueType fonts, so that text in a PDF stays
    # text.
    with matplotlib.rc_context({"svg.hashsalt": "promptarena", "pdf.fonttype": 42}):
        figure.savefig(buffer, format=format, dpi=DPI, metadata=_METADATA[format], transparent=format != "png")
    return buffer.getvalue()


def save(figure: "Figure", folder: Path, stem: str) -> list[Path]:
    """Write a plot as PNG, SVG and PDF.

    Args:
        figure: The plot.
        folder: Where to write; it is created if missing.
        stem: The files' name without its ending.

    Returns:
        The paths of the files.

    Raises:
        UserError: A file cannot be written.
    """
    paths = [folder / f"{stem}.{format}" for format in FORMATS]
    for path, format in zip(paths, FORMATS, strict=True):
        write_atomically(path, rendered(figure, format))
    return paths


def wide(width: float) -> bool:
    """Whether a figure of this width in inches is laid out for a page, not for a column."""
    return width >= _WIDE


def title(figure: "Figure", text: str, miniature: bool, notes: Sequence[str] = ()) -> float:
    """Put a title above a plot, then notes, and a warning if it shows the miniature. Returns its height in inches."""
    lines = [text, *notes, *([MINIATURE] if miniature else [])]
    parts = [part for line in lines for part in lines_within(line, figure.get_figwidth())]
    figure.suptitle("\n".join(parts))
    return _TITLE_LINE * len(parts)


def lines_within(text: str, width: float) -> list[str]:
    """A title as lines that fit into `width` inches."""
    return wrap(text, max(1, int(width / _TITLE_LETTER)))


def heading(figure: "Figure", text: str, miniature: bool, notes: Sequence[str] = ()) -> float:
    """As `title`, for a figure whose axes are placed by hand. Returns the height of the axes' upper end, 0 to 1."""
    written, height = title(figure, text, miniature, notes), figure.get_figheight()
    figure._suptitle.set(y=1 - 0.05 / height, va="top")  # type: ignore[attr-defined]
    return 1 - (0.14 + written) / height


def text_width(texts: Iterable[str], size: float) -> float:
    """Width in inches of the widest text at a font size of `size` points."""
    return max((_width(text, size) for text in texts), default=0.0)


@cache
def _width(text: str, size: float) -> float:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    # The extents of the letters' curves would take 30 ms a name.
    font = FontProperties(family="DejaVu Sans", size=size)
    return float(text_to_path.get_text_width_height_descent(text, font, False)[0]) / 72


def ticks(axes: "Axes", grid: Literal["x", "y", "both"] | None = "both") -> None:
    """Small ticks, with pale grid lines along these axes."""
    axes.tick_params(labelsize=SMALL)
    if grid:
        axes.grid(axis=grid, color=GRID, linewidth=0.6)


def within_percent(axes: "Axes") -> None:
    """Limit the y axis to -2 to 102, since intervals may reach beyond 0 and 100 percent."""
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, -2), min(high, 102))


def panels(figure: "Figure", count: int, across: int) -> "list[Axes]":
    """`count` axes in a grid with `across` in a row; unused ones are removed."""
    grid = figure.subplots(-(-count // across), across, squeeze=False)
    axes = list(grid.flat)
    for spare in axes[count:]:
        spare.remove()
    return axes[:count]
