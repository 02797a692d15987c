r"""Leaderboards in LaTeX; the document needs the packages booktabs and graphicx.

How much a page of a one-column article holds is estimated here; if a line is too wide all the same, `\resizebox`
shrinks it.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from promptarena.benchmark.leaderboard.formats.cell_text import figure_and_spread, group_starts, shown, visible
from promptarena.benchmark.leaderboard.formats.column_split import parts
from promptarena.benchmark.leaderboard.formats.latex_text import breakable, escaped
from promptarena.benchmark.leaderboard.formats.registry import TableFormat
from promptarena.benchmark.leaderboard.model import Board, Cell, Column, Row, Table, Unit

# All in points, estimated for \scriptsize (tables) and \footnotesize (notes) in an article of 10 points: the width of
# the text, the widest table that is not divided, the mean width of a letter, and the space between two columns.
# NOTE_LETTERS are the letters of a note that fit in one line.
LINE = 345.0
WIDEST = 430.0
LETTER = 3.7
GAP = 6.0
NOTE_LETTERS = 80

LABEL = 40
"""If a table has a longer method name, in characters, its names are wrapped."""
LABEL_WIDTH = 150.0
"""Width in points of a column of wrapped names."""
ROWS = 40
"""The most rows of a table that is not divided."""
PAGE = 58.0
"""How many table rows fit on a page."""
HEAD = 5.0
"""The height of a table's title and column headings, in rows."""
CAPTION_LETTERS = 62
"""Letters of the caption that fit in one line."""
LINES_AS_ROWS = 1.5
"""The height of a caption line, in table rows."""

_MARKS = {"best": r"\textbf{%s}", "second": r"\underline{%s}", None: "%s"}


@dataclass(frozen=True)
class _Block:
    """The LaTeX text of a table or a note, its height in table rows and its width in points."""

    text: str
    rows: float
    width: float = LINE


def latex(board: Board) -> str:
    """A board as floats: the caption, then the tables side by side as far as the width allows; best bold, second
    underlined.

    If a page does not hold everything there are several floats, and a table with too many rows or columns is divided.
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
    """The text of each float; `room` is what the first one holds, in rows, the others hold a page."""
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
    """The height in rows of blocks that are set side by side as far as the width allows."""
    total, width, line = 0.0, 0.0, 0.0
    for block in blocks:
        # 10 points is the space of \quad between two tables.
        if width and width + 10 + block.width > LINE:
            total, width, line = total + line, 0.0, 0.0
        width, line = width + 10 + block.width, max(line, block.rows)
    return total + line


def _note(note: str) -> _Block:
    return _Block(f"\\par\\footnotesize {breakable(note)}\n", 1.2 * math.ceil(len(note) / NOTE_LETTERS))


def _pieces(table: Table) -> Iterator[Table]:
    """The table divided so that each piece fits on a page."""
    for narrow in parts(table, WIDEST, _width):
        for start in range(0, max(1, len(narrow.rows)), ROWS):
            title = f"{narrow.title}, continued" if start else narrow.title
            yield replace(narrow, title=title, rows=narrow.rows[start : start + ROWS])


def _block(table: Table) -> _Block:
    width = _width(table)
    text = _tabular(table)
    if width > 0.9 * LINE:
        text = f"\\resizebox{{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}}{{!}}{{%\n{text}}}"
    long = _long(table)
    rows = sum(math.ceil(len(row.label) * LETTER / LABEL_WIDTH) if long else 1 for row in table.rows)
    return _Block(text, rows + HEAD + any(column.group for column in table.columns), min(width, LINE))


def _width(table: Table) -> float:
    """The width of the table, in points."""
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
    long = _long(table)
    first = f"p{{{LABEL_WIDTH:.0f}pt}}" if long else "l"
    rows = "".join(_row(row, table.columns, long) for row in table.rows)
    return (
        f"\\begin{{tabular}}[t]{{{first}{'r' * len(table.columns)}}}\n\\toprule\n"
        f"\\multicolumn{{{width}}}{{c}}{{{escaped(table.title)}}} \\\\\n{_groups(table)}\\midrule\n"
        f"{titles} \\\\\n\\midrule\n{rows}\\bottomrule\n\\end{{tabular}}"
    )


def _row(row: Row, columns: Sequence[Column], long: bool) -> str:
    label = f"\\raggedright {breakable(row.label)}" if long else escaped(row.label)
    cells = (_cell(cell, column.unit) for cell, column in zip(row.cells, columns, strict=True))
    return " & ".join([label, *cells]) + " \\\\\n"


def _groups(table: Table) -> str:
    """A line with the group names above their columns; empty for a table without groups."""
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
    value, spread = figure_and_spread(cell, unit)
    return _MARKS[cell.mark] % escaped(value) + (rf" {{\tiny$\pm${spread}}}" if spread else "")


def _one_after_the_other(boards: Sequence[Board]) -> str:
    return "\n".join(map(latex, boards))


FORMAT = TableFormat(name="latex", ending="tex", place=3, render=_one_after_the_other)
