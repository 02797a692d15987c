"""Leaderboards in print: terminal, Markdown, LaTeX and HTML to read, CSV and JSON to compute with."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from promptarena.benchmark.leaderboard.model import Board

if TYPE_CHECKING:
    from rich.console import Console

Format = Literal["rich", "md", "latex", "html", "csv", "json"]
FILE_ENDINGS: dict[Format, str] = {"md": "md", "latex": "tex", "html": "html", "csv": "csv", "json": "json"}


def render(board: Board, format: Format) -> str:
    """The board as text: "rich" (plain, 100 columns), "md", "latex" (a float), "html" (a page), "csv" or "json".

    Figures to read have two decimals; CSV and JSON are unrounded, in the unit that ends the column's name.
    """
    if format == "json":
        from promptarena.benchmark.leaderboard.formats.csv_json import document, json_text

        return json_text(document(board))
    return render_all([board], format)


def render_all(boards: Sequence[Board], format: Format) -> str:
    """Several boards as one text: one CSV with one header, one JSON list, one HTML page, else one after the other."""
    match format:
        case "rich":
            from promptarena.benchmark.leaderboard.formats.terminal import rich_text

            return "\n".join(map(rich_text, boards))
        case "md":
            from promptarena.benchmark.leaderboard.formats.markdown import markdown

            return "\n".join(map(markdown, boards))
        case "latex":
            from promptarena.benchmark.leaderboard.formats.latex import latex

            return "\n".join(map(latex, boards))
        case "html":
            from promptarena.benchmark.leaderboard.formats.html import html

            return html(boards)
        case "csv":
            from promptarena.benchmark.leaderboard.formats.csv_json import csv_text

            return csv_text(boards)
        case "json":
            from promptarena.benchmark.leaderboard.formats.csv_json import document, json_text

            return json_text([document(board) for board in boards])


def print_rich(console: "Console", board: Board) -> None:
    """Print the board to a rich console: best figures bold, second best underlined, laid out for its width."""
    from promptarena.benchmark.leaderboard.formats import terminal as tables_rich

    tables_rich.print_rich(console, board)
