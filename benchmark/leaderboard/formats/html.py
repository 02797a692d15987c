"""Leaderboards as one HTML page that loads nothing else."""

from collections.abc import Sequence
from html import escape

from promptarena.benchmark.leaderboard.formats.cell_text import figure_and_spread, group_starts, visible
from promptarena.benchmark.leaderboard.formats.registry import TableFormat
from promptarena.benchmark.leaderboard.model import Board, Cell, Table, Unit

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: 0.5rem 0 1.5rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: 0.3rem 0; }
th, td { padding: 0.2rem 0.7rem; text-align: right; white-space: nowrap; }
th:first-child { text-align: left; }
thead tr:last-child th { border-bottom: 1px solid; }
small { opacity: 0.65; }
"""
_TAGS = {"best": "b", "second": "u"}


def html(boards: Sequence[Board]) -> str:
    """A page with all tables: best figures bold, second best underlined, intervals as tooltips."""
    title = escape(", ".join(board.title for board in boards))
    sections = "\n".join(_section(board) for board in boards)
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n{sections}\n</html>\n"
    )


def _section(board: Board) -> str:
    tables = "\n".join(_table(visible(table)) for table in board.tables)
    notes = "".join(f"<li>{escape(note)}</li>" for note in board.notes)
    return (
        f"<section>\n<h1>{escape(board.title)}</h1>\n<p>{escape(board.caption)}</p>\n{tables}\n"
        f"{f'<ul>{notes}</ul>' if notes else ''}\n</section>"
    )


def _table(table: Table) -> str:
    heads = "".join(
        f"<th>{f'<small>{escape(group)}</small> ' if group else ''}{escape(column.title)}</th>"
        for column, group in zip(table.columns, group_starts(table.columns), strict=True)
    )
    rows = "\n".join(
        f"<tr><th>{escape(row.label)}</th>"
        + "".join(_cell(cell, column.unit) for cell, column in zip(row.cells, table.columns, strict=True))
        + "</tr>"
        for row in table.rows
    )
    return (
        f'<div class="scroll"><table><caption>{escape(table.title)}</caption>\n'
        f"<thead><tr><th>Method</th>{heads}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>"
    )


def _cell(cell: Cell, unit: Unit) -> str:
    value, spread = figure_and_spread(cell, unit)
    tag = _TAGS.get(cell.mark or "")
    text = f"<{tag}>{escape(value)}</{tag}>" if tag else escape(value)
    text += f" <small>±{spread}</small>" if spread else ""
    hint = cell.reason or ("" if cell.low is None else f"95 %: {cell.low:.2f} to {cell.high:.2f}, n = {cell.n}")
    return f'<td title="{escape(hint)}">{text}</td>' if hint else f"<td>{text}</td>"


FORMAT = TableFormat(name="html", ending="html", place=4, render=html)
