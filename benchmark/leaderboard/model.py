"""A leaderboard as values: what the tables show, before anyone decides how they look."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Unit = Literal["percent", "points", "parameters", "seconds", "images/s", "MiB", "rank", "p", "count", "flag"]
"""Of a flag the value is 1 or 0, for yes and no."""

Mark = Literal["best", "second"]


@dataclass(frozen=True)
class Cell:
    """One figure. `value`, `std`, `low` and `high` are unrounded and in the column's unit; a hole has no value.

    `n` counts the seeds behind the value (in the cost table the runs). The figure is complete when `filled` of its
    `wanted` `parts` are there: seeds, for an average datasets. `correct` of `total` test images are summed over seeds.
    `reason` says why a hole cannot be filled, or what stands behind a figure. `note` is a word or two printed beside
    the figure, or in its place; data formats have the `reason` instead.
    """

    value: float | None = None
    std: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    filled: int = 0
    wanted: int = 1
    parts: Literal["seeds", "datasets", "runs"] = "seeds"
    correct: int | None = None
    total: int | None = None
    reason: str | None = None
    mark: Mark | None = None
    note: str = ""

    @property
    def full(self) -> bool:
        """Whether nothing is missing, so that the figure may be compared."""
        return self.value is not None and self.filled == self.wanted


@dataclass(frozen=True)
class Column:
    """A column: `key` names it in data formats and ends with its unit, `title` in print, under the heading `group`.

    One not `shown` is in the data formats only; `headline` figures stand for the whole board.
    """

    key: str
    title: str
    unit: Unit = "percent"
    group: str = ""
    shown: bool = True
    headline: bool = False


@dataclass(frozen=True)
class Row:
    """A method's cells, one per column of its table."""

    label: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """Methods by figures; `key` names it in data formats (a dataset, "average", "cost")."""

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Board:
    """The leaderboard of a protocol: tables with the same methods in the same order, the most important one first.

    `own_splits` names the datasets whose figures come from a division made here. `part` tells a further board of the
    same suite and protocol from the first. `brief` are the notes that stand for a further board where there is no room
    for all of it.
    """

    suite: str
    protocol: str
    title: str
    caption: str
    backbone: str
    miniature: bool
    seeds: tuple[int, ...]
    tables: tuple[Table, ...]
    notes: tuple[str, ...] = field(default=())
    own_splits: tuple[str, ...] = ()
    part: str = ""
    brief: tuple[str, ...] = ()

    def headline(self) -> Mapping[str, Mapping[str, float]]:
        """For each method its complete headline figures, by protocol and column."""
        means: dict[str, dict[str, float]] = {}
        for table in self.tables:
            for row in table.rows:
                for column, cell in zip(table.columns, row.cells, strict=True):
                    if column.headline and cell.full and cell.value is not None:
                        means.setdefault(row.label, {})[f"{self.protocol}/{column.key}"] = cell.value
        return means


def in_brief(board: Board) -> Board:
    """The board as its `brief` notes alone; one that has none is as it was."""
    if not board.brief:
        return board
    return replace(board, title=f"{board.title} in brief", caption="", tables=(), notes=board.brief)
