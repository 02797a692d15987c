"""Leaderboards in LaTeX; the document needs the package booktabs."""

from promptarena.benchmark.board import Board, Cell, Table, Unit
from promptarena.benchmark.tables_text import HOLE, group_starts, shown, visible

_ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "±": r"$\pm$",
        HOLE: "--",
    }
)
_MARKS = {"best": r"\textbf{%s}", "second": r"\underline{%s}", None: "%s"}


def latex(board: Board) -> str:
    """One float: tables as blocks that flow in lines, below the caption; best bold, second best underlined."""
    blocks = "\n\\quad\n".join(_tabular(visible(table)) for table in board.tables)
    part = f"-{board.part}" if board.part else ""
    notes = "".join(f"\\par\\footnotesize {_escaped(note)}\n" for note in board.notes)
    return (
        "\\begin{table*}\n\\centering\n\\scriptsize\n\\setlength{\\tabcolsep}{3pt}\n"
        f"\\caption{{{_escaped(board.caption)}}}\n\\label{{tab:{board.suite}-{board.protocol}{part}}}\n"
        f"{blocks}\n{notes}\\end{{table*}}\n"
    )


def _tabular(table: Table) -> str:
    width = len(table.columns) + 1
    titles = " & ".join(["Method", *(_escaped(column.title) for column in table.columns)])
    rows = "".join(
        " & ".join(
            [_escaped(row.label)]
            + [_cell(cell, column.unit) for cell, column in zip(row.cells, table.columns, strict=True)]
        )
        + " \\\\\n"
        for row in table.rows
    )
    return (
        f"\\begin{{tabular}}[t]{{l{'r' * len(table.columns)}}}\n\\toprule\n"
        f"\\multicolumn{{{width}}}{{c}}{{{_escaped(table.title)}}} \\\\\n{_groups(table)}\\midrule\n"
        f"{titles} \\\\\n\\midrule\n{rows}\\bottomrule\n\\end{{tabular}}"
    )


def _groups(table: Table) -> str:
    """A line of group names over their columns; empty for a table without groups."""
    starts = group_starts(table.columns)
    if not any(starts):
        return ""
    spans = []
    for place, start in enumerate(starts):
        if start:
            size = sum(column.group == start for column in table.columns[place:])
            spans.append(f"\\multicolumn{{{size}}}{{c}}{{{_escaped(start)}}}")
        elif not table.columns[place].group:
            spans.append("")
    return " & ".join(["", *spans]).strip() + " \\\\\n"


def _cell(cell: Cell, unit: Unit) -> str:
    value, *spread = shown(cell, unit).split(" ±")
    return _MARKS[cell.mark] % _escaped(value) + "".join(rf" {{\tiny$\pm${part}}}" for part in spread)


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)
