"""Boards as the values that fill the report's page."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from promptarena.benchmark.leaderboard.formats.cell_text import shown, visible
from promptarena.benchmark.leaderboard.model import Board, Cell, Column, Mark, Table, Unit

_OF_A_DATASET = re.compile(r"(.+)_(?:pct|published_pct|distance_points|difference_points)")
"""The key of a column whose figures are of one dataset."""
_NUMBER = re.compile(r"<?([+-]?\d+(?:\.\d+)?)")
"""The number at the beginning of a note, to sort by."""


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
        sort: What to sort by: an unrounded number where there is one; empty for a missing figure without a note.
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


def sheets(board: Board, datasets: Collection[str]) -> list[Sheet]:
    """The board's tables for the page.

    Args:
        board: The board.
        datasets: The card names that tables and columns may belong to.
    """
    return [_sheet(visible(table), board.part, datasets) for table in board.tables]


def _sheet(table: Table, part: str, datasets: Collection[str]) -> Sheet:
    name = table.key.removesuffix(f"-{part}") if part else table.key
    heads = tuple(_head(column, datasets) for column in table.columns)
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
    return Sheet(table.key, table.title, name if name in datasets else "", groups, heads, lines)


def _head(column: Column, datasets: Collection[str]) -> Head:
    found = _OF_A_DATASET.fullmatch(column.key)
    name = found[1] if found else ""
    return Head(column.title, column.unit, name if name in datasets else "")


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
    text, *spread = shown(cell, unit).split(" ±")
    return Entry(text, spread[0] if spread else "", cell.mark, _sort(cell), _hint(cell), dataset)


def _sort(cell: Cell) -> str:
    if cell.value is not None:
        return repr(cell.value)
    found = _NUMBER.match(cell.note)
    return found[1] if found else cell.note


def _hint(cell: Cell) -> str:
    parts = [cell.reason or ""]
    if cell.low is not None and cell.high is not None:
        parts.append(f"95 %: {cell.low:.2f} to {cell.high:.2f}, n = {cell.n}")
    if cell.correct is not None and cell.total is not None:
        parts.append(f"{cell.correct} of {cell.total} right")
    return "; ".join(filter(None, parts))
