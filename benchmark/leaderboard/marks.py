"""Which figures of a table are the best and the second best of their column."""

from collections.abc import Sequence
from dataclasses import replace

from promptarena.benchmark.leaderboard.model import Cell, Mark, Row, Table


def marked(table: Table) -> Table:
    """The table with the best and second-best complete figures of each column marked.

    Values that are equal at two decimals, as printed, tie: otherwise of two equal printed numbers only one would be
    bold.
    """
    marks = [_marks([row.cells[place] for row in table.rows]) for place in range(len(table.columns))]
    rows = (
        Row(row.name, tuple(replace(cell, mark=marks[place][line]) for place, cell in enumerate(row.cells)))
        for line, row in enumerate(table.rows)
    )
    return replace(table, rows=tuple(rows))


def _marks(cells: Sequence[Cell]) -> list[Mark | None]:
    """The mark of each cell of a column; no marks where fewer than two figures are complete."""
    shown = [f"{cell.value:.2f}" if cell.full else None for cell in cells]
    ranked = sorted({float(value) for value in shown if value}, reverse=True)
    if sum(value is not None for value in shown) < 2:
        return [None] * len(cells)
    names: dict[float, Mark] = dict(zip(ranked, ("best", "second"), strict=False))
    return [names.get(float(value)) if value else None for value in shown]
