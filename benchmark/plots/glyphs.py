"""Characters that the figures' font lacks: drawn by their numbers, so that names stay apart and files stay the same on
every machine, whichever fonts it has."""

from functools import cache
from typing import TYPE_CHECKING

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
