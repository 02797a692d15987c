"""Leaderboards as text: terminal, Markdown, LaTeX and HTML to read, CSV and JSON to compute with."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from promptarena.benchmark.leaderboard.formats.registry import find_format
from promptarena.benchmark.leaderboard.model import Board

if TYPE_CHECKING:
    from rich.console import Console

Format = str
"""The name of a format; `registry.format_names` lists them."""


def render(board: Board, format: Format) -> str:
    """One board as text. Formats to read round to two decimals; CSV and JSON are unrounded.

    Args:
        board: The board.
        format: "rich" (plain text, 100 columns), "md", "latex" (floats), "html" (a page), "csv", "json", or another
            file of this folder.

    Raises:
        UserError: There is no such format.
    """
    found = find_format(format)
    return found.render_one(board) if found.render_one else found.render([board])


def render_all(boards: Sequence[Board], format: Format) -> str:
    """Several boards as one text: one CSV with one header, one JSON list, one HTML page; otherwise one after the other.

    Args:
        boards: The boards, in this order.
        format: As in `render`.

    Raises:
        UserError: There is no such format.
    """
    return find_format(format).render(boards)


def print_rich(console: "Console", board: Board) -> None:
    """Print a board to a rich console: best figures bold, second best underlined, laid out for the console's width."""
    from promptarena.benchmark.leaderboard.formats import terminal as tables_rich

    tables_rich.print_rich(console, board)
