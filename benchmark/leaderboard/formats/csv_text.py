"""Leaderboards as CSV: all figures unrounded, in the unit at the end of the column's name."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

from promptarena.benchmark.leaderboard.formats.cell_values import figure
from promptarena.benchmark.leaderboard.formats.registry import TableFormat
from promptarena.benchmark.leaderboard.model import Board, Cell

FORMULAS = ("=", "+", "-", "@")
FIELDS = ("suite", "protocol", "backbone", "miniature", "own_splits", "part", "table", "method", "column")
"""The first columns: which figure a line is. The values follow."""


def csv_text(boards: Sequence[Board]) -> str:
    """Boards as one CSV text with one header: a line per figure, `low95` and `high95` bound its 95 % interval."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, [*FIELDS, *figure(Cell())], lineterminator="\n")
    writer.writeheader()
    for board in boards:
        writer.writerows(_records(board))
    return stream.getvalue()


def _records(board: Board) -> Iterator[dict[str, Any]]:
    for table in board.tables:
        for row in table.rows:
            for column, cell in zip(table.columns, row.cells, strict=True):
                values = {
                    "suite": board.suite,
                    "protocol": board.protocol,
                    "backbone": board.backbone,
                    "miniature": board.miniature,
                    "own_splits": " ".join(board.own_splits),
                    "part": board.part,
                    "table": table.key,
                    "method": row.label,
                    "column": column.key,
                    **figure(cell),
                }
                yield {name: _inert(value) if isinstance(value, str) else value for name, value in values.items()}


def _inert(text: str) -> str:
    """A text that a spreadsheet does not take for a formula, though it may come from somebody else's export."""
    return f"'{text}" if text.startswith(FORMULAS) else text


FORMAT = TableFormat(name="csv", ending="csv", place=5, render=csv_text)
