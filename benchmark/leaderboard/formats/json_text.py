"""Leaderboards as JSON: all figures unrounded, in the unit at the end of the column's name."""

import json
from collections.abc import Sequence
from typing import Any

from promptarena.benchmark.leaderboard.formats.cell_values import figure
from promptarena.benchmark.leaderboard.formats.registry import TableFormat
from promptarena.benchmark.leaderboard.model import Board


def document(board: Board) -> dict[str, Any]:
    """The board as plain values for JSON: its fields, and its tables with their figures by column key."""
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
                            column.key: figure(cell) for column, cell in zip(table.columns, row.cells, strict=True)
                        },
                    }
                    for row in table.rows
                ],
            }
            for table in board.tables
        ],
    }


def json_text(value: Any) -> str:
    """A document, or a list of documents, as JSON text. Raises ValueError for NaN and infinite numbers."""
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _one(board: Board) -> str:
    return json_text(document(board))


def _list(boards: Sequence[Board]) -> str:
    return json_text([document(board) for board in boards])


FORMAT = TableFormat(name="json", ending="json", place=6, render=_list, render_one=_one)
