"""Leaderboards as JSON: all figures unrounded, in the unit at the end of the column's name."""

import json
from collections.abc import Sequence
from typing import Any

from promptarena.benchmark.leaderboard.formats.cell_values import figure
from promptarena.benchmark.leaderboard.formats.registry import TableFormat
from promptarena.benchmark.leaderboard.model import Board

_ROW = 4
"""The depth of a table's row in a document; a row is one line."""


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


def _one(board: Board) -> str:
    return _laid_out(document(board), _ROW) + "\n"


def _list(boards: Sequence[Board]) -> str:
    return _laid_out([document(board) for board in boards], _ROW + 1) + "\n"


def _laid_out(value: Any, depth: int, line: str = "\n") -> str:
    """JSON text with a line for each value down to a depth; json's own indentation is ten times slower."""
    if not (depth and value and isinstance(value, dict | list)):
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    deeper = f"{line} "
    if isinstance(value, dict):
        parts = [f"{json.dumps(name)}: {_laid_out(each, depth - 1, deeper)}" for name, each in value.items()]
    else:
        parts = [_laid_out(each, depth - 1, deeper) for each in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}{deeper}{f',{deeper}'.join(parts)}{line}{closing}"


FORMAT = TableFormat(name="json", ending="json", place=6, render=_list, render_one=_one)
