"""Boards as the values that fill the report's page."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from promptarena.benchmark.leaderboard.formats.cell_text import figure_and_spread, visible
from promptarena.benchmark.leaderboard.model import Board, Cell, Column, Mark, Table, Unit


@dataclass(frozen=True)
class Head:
    """A column's heading; `dataset` is the card name if its figures are of one dataset, otherwise empty."""

    title: str
    unit: str
    dataset: str


@dataclass(frozen=True)
class Group:
    """A heading over `span` columns; the title is empty where columns have none."""

    title: str
    span: int


@dataclass(frozen=True)
class Entry:
    """A printed cell.

    Args:
        text: The figure.
        spread: The standard deviation over seeds; empty without one.
        mark: Whether it is the best or second best of its column.
        sort: What to sort by: the unrounded number, else the note that is printed in its place.
        hint: The tooltip.
        dataset: The card name if the figure is of one dataset, otherwise empty.
    """

    text: str
    spread: str
    mark: Mark | None
    sort: str
    hint: str
    dataset: str


@dataclass(frozen=True)
class Line:
    """A row: the cells of a method."""

    label: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Sheet:
    """A printed table; `dataset` is the card name if it is of one dataset, otherwise empty."""

    key: str
    title: str
    dataset: str
    groups: tuple[Group, ...]
    heads: tuple[Head, ...]
    lines: tuple[Line, ...]


def sheets(board: Board) -> list[Sheet]:
    """The board's tables for the page."""
    return [_sheet(visible(table)) for table in board.tables]


def _sheet(table: Table) -> Sheet:
    heads = tuple(Head(column.title, column.unit, column.dataset) for column in table.columns)
    lines = tuple(
        Line(
            row.label,
            tuple(
                _entry(cell, column.unit, head.dataset)
                for cell, column, head in zip(row.cells, table.columns, heads, strict=True)
            ),
        )
        for row in table.rows
    )
    grouped = any(column.group for column in table.columns)
    groups = tuple(_groups(table.columns)) if grouped else ()
    return Sheet(table.key, table.title, table.dataset, groups, heads, lines)


def _groups(columns: tuple[Column, ...]) -> Iterator[Group]:
    last: Group | None = None
    for column in columns:
        if last and last.title == column.group:
            last = replace(last, span=last.span + 1)
            continue
        if last:
            yield last
        last = Group(column.group, 1)
    if last:
        yield last


def _entry(cell: Cell, unit: Unit, dataset: str) -> Entry:
    text, spread = figure_and_spread(cell, unit)
    sort = cell.note if cell.value is None else repr(cell.value)
    return Entry(text, spread, cell.mark, sort, _hint(cell), dataset)


def _hint(cell: Cell) -> str:
    parts = [cell.reason or ""]
    if cell.low is not None and cell.high is not None:
        parts.append(f"95 %: {cell.low:.2f} to {cell.high:.2f}, n = {cell.n}")
    if cell.correct is not None and cell.total is not None:
        parts.append(f"{cell.correct} of {cell.total} right")
    return "; ".join(filter(None, parts))
