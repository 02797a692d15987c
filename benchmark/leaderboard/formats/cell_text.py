"""What the printed formats share: the text of a cell, and which columns are shown."""

from collections.abc import Sequence
from dataclasses import replace

from promptarena.benchmark.leaderboard.model import Cell, Column, Table, Unit

MISSING = "–"
"""The text of a missing figure."""


def shown(cell: Cell, unit: Unit) -> str:
    """The printed text of a cell.

    Args:
        cell: The figure.
        unit: The unit of its column.

    Returns:
        `84.26 ±0.35`; `84.26 (2/3)` if seeds are missing; `9 of 11` for an average that lacks datasets; `–` if nothing
        is there. The cell's note follows the figure, or replaces it if there is none.
    """
    text, spread = figure_and_spread(cell, unit)
    return f"{text} ±{spread}" if spread else text


def figure_and_spread(cell: Cell, unit: Unit) -> tuple[str, str]:
    """The printed text of a cell in two parts.

    Args:
        cell: The figure.
        unit: The unit of its column.

    Returns:
        The text as `shown` gives it but without the standard deviation, and that: ("84.26", "0.35"). The second part is
        empty without a standard deviation.
    """
    if cell.value is None:
        missing = f"{cell.filled} of {cell.expected}" if cell.parts == "datasets" and cell.filled else MISSING
        return cell.note or missing, ""
    match unit:
        case "percent":
            text = f"{cell.value:.2f}"
        case "points":
            text = f"{cell.value:+z.2f}"
        case "parameters" | "MiB":
            text = f"{cell.value:,.0f}"
        case "seconds" | "images/s":
            text = f"{cell.value:,.1f}"
        case "rank":
            text = f"{cell.value:.2f}"
        case "number":
            text = f"{cell.value:.3f}"
        case "p":
            text = p_text(cell.value)
        case "count":
            text = f"{cell.value:,.0f}"
        case "flag":
            text = "yes" if cell.value else "no"
    text = f"{text} {cell.note}" if cell.note else text
    if not cell.full:
        return f"{text} ({cell.filled}/{cell.expected})", ""
    digits = 3 if unit == "number" else 2
    return text, "" if cell.std is None else f"{cell.std:.{digits}f}"


def p_text(p: float) -> str:
    """The printed text of a p-value.

    >>> [p_text(p) for p in (0.21, 0.0029, 0.0001)]
    ['0.21', '0.0029', '<0.001']
    """
    if p < 0.001:
        return "<0.001"
    return f"{p:.2f}" if p >= 0.1 else f"{p:#.2g}"


def visible(table: Table) -> Table:
    """The table without the columns that only data formats contain."""
    keep = [place for place, column in enumerate(table.columns) if column.shown]
    rows = tuple(replace(row, cells=tuple(row.cells[place] for place in keep)) for row in table.rows)
    return replace(table, columns=tuple(table.columns[place] for place in keep), rows=rows)


def group_starts(columns: Sequence[Column]) -> list[str]:
    """For each column the name of its group if the group begins there, otherwise the empty string."""
    before = ["", *(column.group for column in columns)]
    return [column.group if column.group != last else "" for column, last in zip(columns, before, strict=False)]
