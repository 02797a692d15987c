"""Leaderboards as one HTML page that loads nothing else."""

from collections.abc import Sequence
from pathlib import Path

from promptarena.benchmark.leaderboard.formats.cell_text import figure_and_spread, group_starts, visible
from promptarena.benchmark.leaderboard.formats.registry import TableFormat
from promptarena.benchmark.leaderboard.model import Board, Cell

TEMPLATE = "page.html.jinja"


def html(boards: Sequence[Board]) -> str:
    """A page with all tables: best figures bold, second best underlined, intervals as tooltips."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    pages = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    pages.filters |= {
        "visible": visible,
        "group_starts": group_starts,
        "figure_and_spread": figure_and_spread,
        "hint": _hint,
        "zip": lambda one, other: zip(one, other, strict=True),
    }
    return pages.get_template(TEMPLATE).render(boards=boards)


def _hint(cell: Cell) -> str:
    return cell.reason or ("" if cell.low is None else f"95 %: {cell.low:.2f} to {cell.high:.2f}, n = {cell.n}")


FORMAT = TableFormat(name="html", ending="html", place=4, render=html)
