"""Leaderboards for machines: everything unrounded, in the unit that ends the column's name."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

from promptarena.benchmark.leaderboard.model import Board, Cell

FIELDS = ("suite", "protocol", "backbone", "miniature", "own_splits", "part", "table", "method", "column")


def _records(board: Board) -> Iterator[dict[str, Any]]:
    for table in board.tables:
        for row in table.rows:
            for column, cell in zip(table.columns, row.cells, strict=True):
                yield {
                    "suite": board.suite,
                    "protocol": board.protocol,
                    "backbone": board.backbone,
                    "miniature": board.miniature,
                    "own_splits": " ".join(board.own_splits),
                    "part": board.part,
                    "table": table.key,
                    "method": row.label,
                    "column": column.key,
                    **_figure(cell),
                }


def _figure(cell: Cell) -> dict[str, Any]:
    return {
        "value": cell.value,
        "std": cell.std,
        "low95": cell.low,
        "high95": cell.high,
        "n": cell.n,
        "correct": cell.correct,
        "total": cell.total,
        "filled": cell.filled,
        "wanted": cell.wanted,
        "parts": cell.parts,
        "reason": cell.reason,
    }


def csv_text(boards: Sequence[Board]) -> str:
    """One line per figure; `low95` and `high95` bound its 95 % interval."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, [*FIELDS, *_figure(Cell())], lineterminator="\n")
    writer.writeheader()
    for board in boards:
        writer.writerows(_records(board))
    return stream.getvalue()


def document(board: Board) -> dict[str, Any]:
    """The board as plain values for JSON: caption and notes, and the tables with their figures by column."""
    return {
        "suite": board.suite,
        "protocol": board.protocol,
        "part": board.part,
        "title": board.title,
        "caption": board.caption,
        "backbone": board.backbone,
        "miniature": board.miniature,
        "own_splits": list(board.own_splits),
        "seeds": list(board.seeds),
        "notes": list(board.notes),
        "tables": [
            {
                "key": table.key,
                "title": table.title,
                "columns": [
                    {"key": column.key, "title": column.title, "unit": column.unit, "group": column.group}
                    for column in table.columns
                ],
                "rows": [
                    {
                        "method": row.label,
                        "figures": {
                            column.key: _figure(cell) for column, cell in zip(table.columns, row.cells, strict=True)
                        },
                    }
                    for row in table.rows
                ],
            }
            for table in board.tables
        ],
    }


def json_text(value: Any) -> str:
    """A document, or a list of them, as JSON text."""
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
