"""Figures as SVG elements of a page: text stays text, colours follow the page's theme, each method can be hidden."""

import io
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from promptarena.benchmark.plots.style import GRID, GROUP, INK, SOFT, finish

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_THEMED = {INK: "--ink", "#000000": "--ink", SOFT: "--soft", GRID: "--line", GROUP: "--group"}
"""The colours that are not a method's, with the page's variable that replaces each."""
_OWNER = re.compile(r' id="of-([^"]*?)-\d+"')


_MARKS = re.compile(r'<g([^>]*)>\n((?:<use [^>]*? style="[^"]*"/>\n)+)</g>')
"""The marks of a curve, each with a style."""


def _with_one_style(found: re.Match[str]) -> str:
    """The marks with their common style once, at their group, from which they inherit it."""
    styles = set(re.findall(r' (style="[^"]*")/>', found[2]))
    if len(styles) != 1:
        return found[0]
    (style,) = styles
    return f"<g{found[1]} {style}>\n{found[2].replace(f' {style}', '')}</g>"


def owned(label: str, *artists: Any) -> None:
    """Say that artists show a method, so that a page can hide them with it.

    Args:
        label: The method's label.
        artists: Artists of one figure. Every artist of a figure is marked once, all of a method by one call.
    """
    for place, artist in enumerate(artists):
        artist.set_gid(f"of-{quote(label, safe='')}-{place}")


def inline(figure: "Figure", name: str, places: Mapping[str, int]) -> str:
    """The figure as an SVG element.

    Args:
        figure: The figure.
        name: A name that no other figure of the page has; the ids in the element begin with it.
        places: The number by which the page knows each label. Groups of a method have it as `data-m`.

    Returns:
        The element, without a background. Colours of text and lines are variables of the page.
    """
    import matplotlib

    finish(figure)
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "promptarena", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Creator": None, "Date": None})
    text = buffer.getvalue().decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = _OWNER.sub(lambda found: f' data-m="{places.get(unquote(found[1]), "")}"', text)
    text = re.sub(
        r' id="(?:figure|axes|patch|line2d|text|matplotlib|xtick|ytick|PathCollection|LineCollection)[^"]*"', "", text
    )
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\1{name}-", text)
    text = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", text)
    for colour, variable in _THEMED.items():
        text = text.replace(colour, f"var({variable})")
    # A tenth of a point is less than a screen shows, and the page has a font of its own.
    text = re.sub(r"(\d\.\d\d)\d+", r"\1", text)
    text = re.sub(r' d="[^"]*"', lambda path: re.sub(r"(\.\d)\d+|\.0+(?=\s)", r"\1", path[0]).replace("\n", ""), text)
    text = re.sub(r"\n\s*", "\n", re.sub(r"<!--.*?-->", "", text))
    text = _MARKS.sub(_with_one_style, text)
    return re.sub(
        r" font-family: 'DejaVu Sans';| transform=\"rotate\(-0 [^\"]*\"|; stroke-linecap: square", "", text
    ).replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)
