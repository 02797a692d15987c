"""Split tables by columns where a page or a terminal is too narrow for them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from promptarena.benchmark.leaderboard.model import Column, Table

Measure = Callable[[Table], float]
"""How wide a table is, in any unit."""


def parts(table: Table, width: float, measure: Measure) -> Iterator[Table]:
    """Split a table by columns.

    Args:
        table: The table.
        width: The available width, in the unit of `measure`.
        measure: Computes the width of a table.

    Returns:
        Tables that fit the width, or have a single column. A group of columns that fits the width is not divided.
    """
    start = 0
    while start < len(table.columns):
        end = _fitting(table, start, width, measure)
        group = _group_start(table.columns, end)
        if start < group < end and _fitting(table, group, width, measure) >= _group_end(table.columns, group):
            end = group
        yield _cut(table, start, end)
        start = end


def _fitting(table: Table, start: int, width: float, measure: Measure) -> int:
    """The column before which a part that begins with column `start` has to end: it fits, or has one column."""
    end = start + 1
    while end < len(table.columns) and measure(_cut(table, start, end + 1)) <= width:
        end += 1
    return end


def _group_start(columns: Sequence[Column], end: int) -> int:
    """The first column of the group that a cut before column `end` would divide; `end` if it divides none."""
    start = end
    while 0 < start < len(columns) and columns[start].group and columns[start].group == columns[start - 1].group:
        start -= 1
    return start


def _group_end(columns: Sequence[Column], start: int) -> int:
    end = start
    while end < len(columns) and columns[end].group == columns[start].group:
        end += 1
    return end


def _cut(table: Table, start: int, end: int) -> Table:
    rows = tuple(replace(row, cells=row.cells[start:end]) for row in table.rows)
    title = table.title if start == 0 else f"{table.title}, continued"
    return replace(table, title=title, columns=table.columns[start:end], rows=rows)
