"""Figures for a dark page."""

from promptarena.benchmark.plots.style import GAIN, GRID, GROUP, INK, LOSS, SOFT

PAGE_COLOURS = {
    INK: "#e6e8eb",
    "#000000": "#e6e8eb",
    SOFT: "#a8b0ba",
    GRID: "#3c434c",
    GROUP: "#56b4e9",
    GAIN: "#2f5f8f",
    LOSS: "#8a5a33",
}
"""What the colours of text, axes, reference lines, grid and bars become. Methods keep their hues, except those in
the colours of text and of group bars.
"""


def dark_svg(content: bytes) -> bytes:
    """A rendered SVG file with light text and lines.

    Args:
        content: The file, as `rendered` makes it: with a transparent background.

    Returns:
        The file for a dark page.
    """
    text = content.decode()
    for colour, light in PAGE_COLOURS.items():
        text = text.replace(colour, light)
    # Outlines of letters have no colour of their own: they are black unless the root says otherwise.
    return text.replace("<svg ", f'<svg fill="{PAGE_COLOURS[INK]}" ', 1).encode()
