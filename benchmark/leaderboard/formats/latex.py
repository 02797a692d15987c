r"""Leaderboards in LaTeX; the document needs the packages booktabs and graphicx.

What a page of a one-column article has room for is estimated here; where a line is wider all the same, `\resizebox`
makes tables fit.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from promptarena.benchmark.leaderboard.formats.cell_text import group_starts, shown, visible
from promptarena.benchmark.leaderboard.formats.column_split import parts
from promptarena.benchmark.leaderboard.formats.latex_text import breakable, escaped
from promptarena.benchmark.leaderboard.formats.registry import TableFormat
from promptarena.benchmark.leaderboard.model import Board, Cell, Row, Table, Unit

# In points, for \scriptsize and \footnotesize in an article of 10 points.
LINE = 345.0
WIDEST = 430.0
LETTER = 3.7
GAP = 6.0
NOTE_LETTERS = 80

LABEL = 40
"""Characters of a method's name up to which it is in one line."""
LABEL_WIDTH = 150.0
ROWS = 40
"""Rows of a table up to which it is not cut."""
PAGE = 58.0
"""Rows that a page has room for."""
HEAD = 5.0
CAPTION_LETTERS = 62
LINES_AS_ROWS = 1.5

_MARKS = {"best": r"\textbf{%s}", "second": r"\underline{%s}", None: "%s"}


@dataclass(frozen=True)
class _Block:
    """A table or a note: its text, and how much room it takes, in rows and points."""

    text: str
    rows: float
    width: float = LINE


def latex(board: Board) -> str:
    """Floats: tables as blocks that flow in lines, below the caption; best bold, second best underlined.

    Where a page does not hold them they are several, and a table of many rows or columns is cut.
    """
    blocks = [_block(piece) for table in board.tables for piece in _pieces(visible(table))]
    notes = [_note(note) for note in board.notes]
    caption_rows = math.ceil(len(board.caption) / CAPTION_LETTERS) * LINES_AS_ROWS
    pages = list(_pages(blocks, notes, PAGE - caption_rows))
    part = f"-{board.part}" if board.part else ""
    head = f"\\caption{{{breakable(board.caption)}}}\n\\label{{tab:{board.suite}-{board.protocol}{part}}}\n"
    again = f"\\caption{{{breakable(board.title)}, continued.}}\n"
    floats = [
        "\\begin{table*}\n\\centering\n\\scriptsize\n\\setlength{\\tabcolsep}{3pt}\n"
        f"{again if place else head}{page}\\end{{table*}}\n"
        for place, page in enumerate(pages)
    ]
    return "".join(floats) + "\\clearpage\n" * (len(floats) > 1)


def _pages(blocks: Sequence[_Block], notes: Sequence[_Block], room: float) -> Iterator[str]:
    """The text of each float; the first has `room` rows, the others a page."""
    here: list[_Block] = []
    said: list[_Block] = []
    for block in blocks:
        if here and _height([*here, block]) > room:
            yield _page(here, [])
            here, room = [], PAGE
        here.append(block)
    for note in notes:
        if _height(here) + sum(each.rows for each in (*said, note)) > room:
            yield _page(here, said)
            here, said, room = [], [], PAGE
        said.append(note)
    yield _page(here, said)


def _page(blocks: Sequence[_Block], notes: Sequence[_Block]) -> str:
    tables = "\n\\quad\n".join(block.text for block in blocks)
    return (f"{tables}\n" if tables else "") + "".join(note.text for note in notes)


def _height(blocks: Iterable[_Block]) -> float:
    """Rows that blocks take when they flow in lines."""
    total, width, line = 0.0, 0.0, 0.0
    for block in blocks:
        if width and width + 10 + block.width > LINE:
            total, width, line = total + line, 0.0, 0.0
        width, line = width + 10 + block.width, max(line, block.rows)
    return total + line


def _note(note: str) -> _Block:
    return _Block(f"\\par\\footnotesize {breakable(note)}\n", 1.2 * math.ceil(len(note) / NOTE_LETTERS))


def _pieces(table: Table) -> Iterator[Table]:
    """The table cut so that a page holds each."""
    for narrow in parts(table, WIDEST, _width):
        for start in range(0, max(1, len(narrow.rows)), ROWS):
            title = f"{narrow.title}, continued" if start else narrow.title
            yield replace(narrow, title=title, rows=narrow.rows[start : start + ROWS])


def _block(table: Table) -> _Block:
    width = _width(table)
    text = _tabular(table)
    if width > 0.9 * LINE:
        text = f"\\resizebox{{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}}{{!}}{{%\n{text}}}"
    rows = sum(math.ceil(len(row.label) * LETTER / LABEL_WIDTH) if _long(table) else 1 for row in table.rows)
    return _Block(text, rows + HEAD + any(column.group for column in table.columns), min(width, LINE))


def _width(table: Table) -> float:
    """Points that the table takes in a line."""
    label = LABEL_WIDTH if _long(table) else LETTER * max((len(row.label) for row in table.rows), default=0)
    columns = [
        max(len(column.title), *(len(shown(row.cells[place], column.unit)) for row in table.rows), 0)
        for place, column in enumerate(table.columns)
    ]
    groups: dict[str, list[int]] = {}
    for column, letters in zip(table.columns, columns, strict=True):
        groups.setdefault(column.group, []).append(letters)
    needed = sum(max(sum(letters) + len(letters), len(group)) for group, letters in groups.items())
    body = max(label, LETTER * len("Method")) + LETTER * needed + GAP * (1 + len(columns))
    return max(body, LETTER * len(table.title))


def _long(table: Table) -> bool:
    return any(len(row.label) > LABEL for row in table.rows)


def _tabular(table: Table) -> str:
    width = len(table.columns) + 1
    titles = " & ".join(["Method", *(escaped(column.title) for column in table.columns)])
    first = f"p{{{LABEL_WIDTH:.0f}pt}}" if _long(table) else "l"
    rows = "".join(_row(row, table) for row in table.rows)
    return (
        f"\\begin{{tabular}}[t]{{{first}{'r' * len(table.columns)}}}\n\\toprule\n"
        f"\\multicolumn{{{width}}}{{c}}{{{escaped(table.title)}}} \\\\\n{_groups(table)}\\midrule\n"
        f"{titles} \\\\\n\\midrule\n{rows}\\bottomrule\n\\end{{tabular}}"
    )


def _row(row: Row, table: Table) -> str:
    label = f"\\raggedright {breakable(row.label)}" if _long(table) else escaped(row.label)
    cells = (_cell(cell, column.unit) for cell, column in zip(row.cells, table.columns, strict=True))
    return " & ".join([label, *cells]) + " \\\\\n"


def _groups(table: Table) -> str:
    """A line of group names over their columns; empty for a table without groups."""
    starts = group_starts(table.columns)
    if not any(starts):
        return ""
    spans = []
    for place, start in enumerate(starts):
        if start:
            size = sum(column.group == start for column in table.columns[place:])
            spans.append(f"\\multicolumn{{{size}}}{{c}}{{{escaped(start)}}}")
        elif not table.columns[place].group:
            spans.append("")
    return " & ".join(["", *spans]).strip() + " \\\\\n"


def _cell(cell: Cell, unit: Unit) -> str:
    value, *spread = shown(cell, unit).split(" ±")
    return _MARKS[cell.mark] % escaped(value) + "".join(rf" {{\tiny$\pm${part}}}" for part in spread)


def _one_after_the_other(boards: Sequence[Board]) -> str:
    return "\n".join(map(latex, boards))


FORMAT = TableFormat(name="latex", ending="tex", place=3, render=_one_after_the_other)
