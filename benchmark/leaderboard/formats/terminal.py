"""Leaderboards on a terminal."""

import io
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from promptarena.benchmark.leaderboard.formats.cell_text import group_starts, shown, visible
from promptarena.benchmark.leaderboard.formats.column_split import parts
from promptarena.benchmark.leaderboard.formats.registry import TableFormat
from promptarena.benchmark.leaderboard.model import Board, Cell, Table, Unit

WIDTH = 100
"""Columns of the plain text, which does not depend on the terminal."""
LABEL_WIDTH = 40
"""Longer method names, in characters, are folded."""
COST = "cost"
GAP = 2
"""Spaces between columns and between tables."""


def rich_text(board: Board) -> str:
    """What `print_rich` prints, without colours and 100 columns wide."""
    stream = io.StringIO()
    print_rich(Console(file=stream, width=WIDTH, color_system=None, force_terminal=False, force_jupyter=False), board)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def print_rich(console: Console, board: Board) -> None:
    """Print a board to a rich console: best figures bold, second best underlined, laid out for the console's width."""
    console.print(Text(board.title, style="bold"))
    for block in _blocks(board, console.width):
        console.print()
        console.print(block)
    if board.caption:
        console.print()
        console.print(board.caption, style="dim", markup=False, highlight=False)
    for note in board.notes:
        console.print(f"- {note}", markup=False, highlight=False)


def _blocks(board: Board, width: int) -> Iterator[RichTable]:
    """The first table and the cost table by themselves; those of the datasets side by side where the width allows."""
    first, others = board.tables[:1], board.tables[1:]
    blocks = [part for table in others if table.key != COST for part in parts(visible(table), width, _width)]
    beside = max(1, (width + GAP) // (GAP + max((_width(block) for block in blocks), default=width)))
    rows = [[part] for table in first for part in parts(visible(table), width, _width)]
    rows += [blocks[start : start + beside] for start in range(0, len(blocks), beside)]
    rows += [[part] for table in others if table.key == COST for part in parts(visible(table), width, _width)]
    for row in rows:
        line = RichTable.grid(padding=(0, GAP, 0, 0))
        line.add_row(*map(_rich_table, row))
        yield line


def _width(table: Table) -> int:
    """The width of the table, in characters."""
    labels = max((len(row.label) for row in table.rows), default=0)
    columns = (
        max(len(column.title), len(column.group), *(len(_compact(row.cells[place], column.unit)) for row in table.rows))
        for place, column in enumerate(table.columns)
    )
    return max(len("Method"), min(labels, LABEL_WIDTH)) + sum(GAP + width for width in columns)


def _rich_table(table: Table) -> RichTable:
    styles = {"best": "bold", "second": "underline", None: ""}
    grid = RichTable(title=Text(table.title, style="bold"), title_justify="left", box=box.SIMPLE_HEAD, show_edge=False)
    grid.pad_edge = False
    grid.padding = (0, 0, 0, GAP - 1)
    grid.add_column("Method", max_width=LABEL_WIDTH, overflow="fold")
    starts = group_starts(table.columns)
    for column, group in zip(table.columns, starts, strict=True):
        title = f"{group}\n{column.title}" if any(starts) else column.title
        grid.add_column(Text(title), justify="right", no_wrap=True)
    for row in table.rows:
        cells = (
            Text.assemble((_compact(cell, column.unit), styles[cell.mark]))
            for cell, column in zip(row.cells, table.columns, strict=True)
        )
        grid.add_row(Text(row.label), *cells)
    return grid


def _compact(cell: Cell, unit: Unit) -> str:
    """A cell without the spaces that other formats put before ± and (: a terminal is narrow."""
    return shown(cell, unit).replace(" ±", "±").replace(" (", "(")


def _one_after_the_other(boards: Sequence[Board]) -> str:
    return "\n".join(map(rich_text, boards))


FORMAT = TableFormat(name="rich", ending="", place=1, render=_one_after_the_other)
