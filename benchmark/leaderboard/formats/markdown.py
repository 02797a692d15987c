"""Leaderboards in Markdown."""

import re
from collections.abc import Sequence

from promptarena.benchmark.leaderboard.formats.cell_text import group_starts, shown, visible
from promptarena.benchmark.leaderboard.formats.registry import TableFormat
from promptarena.benchmark.leaderboard.model import Board, Table


def markdown(board: Board) -> str:
    """A board as pipe tables under headings: best figures bold, second best underlined."""
    parts = [f"## {board.title}"]
    for table in map(visible, board.tables):
        parts += [f"### {_escaped(table.title)}", _pipe_table(table)]
    parts.append(_escaped(board.caption))
    if board.notes:
        parts.append("\n".join(f"- {_escaped(note)}" for note in board.notes))
    return "\n\n".join(parts) + "\n"


def _pipe_table(table: Table) -> str:
    from tabulate import tabulate

    wraps = {"best": "**{}**", "second": "<u>{}</u>", None: "{}"}
    starts = group_starts(table.columns)
    heads = [
        _escaped(f"{group}: {column.title}" if group else column.title)
        for column, group in zip(table.columns, starts, strict=True)
    ]
    lines = [
        [_escaped(row.label)]
        + [
            wraps[cell.mark].format(shown(cell, column.unit))
            for cell, column in zip(row.cells, table.columns, strict=True)
        ]
        for row in table.rows
    ]
    align = ["left"] + ["right"] * len(heads)
    return tabulate(
        lines, ["Method", *heads], tablefmt="pipe", colalign=align if lines else None, disable_numparse=True
    )


def _escaped(text: str) -> str:
    # An & is escaped only where it would begin the name or number of a character, such as &#x202e;.
    return re.sub(r"&(?=\\?#?\w+;)", r"\\&", text.translate({ord(char): f"\\{char}" for char in "\\|*_<>`[]#"}))


def _one_after_the_other(boards: Sequence[Board]) -> str:
    return "\n".join(map(markdown, boards))


FORMAT = TableFormat(name="md", ending="md", place=2, render=_one_after_the_other)
