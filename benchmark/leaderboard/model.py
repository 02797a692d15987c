"""A leaderboard as values: what the tables contain, independent of their format."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.core.protocol_table import Metric, protocol_info

Unit = Literal["percent", "points", "parameters", "seconds", "images/s", "MiB", "rank", "p", "count", "flag", "number"]
"""The unit of a column. "percent" is an accuracy, "points" a difference of percentages, "flag" is 1 for yes and 0 for
no, "number" a figure without a unit.
"""

Mark = Literal["best", "second"]
"""The rank that a format makes visible: best (bold) or second best (underlined)."""


@dataclass(frozen=True)
class Cell:
    """One figure of a table.

    Args:
        value: Unrounded, in the column's unit; None when it is missing.
        std: Sample standard deviation over seeds (ddof 1), in the column's unit.
        low: Lower end of the 95 % interval, in the column's unit.
        high: Upper end of the 95 % interval, in the column's unit.
        n: The seeds behind the value (in the cost table, the runs).
        filled: How many of the `expected` parts are there.
        expected: How many parts a complete figure has.
        parts: What the parts are: seeds; datasets for an average; runs in the cost table.
        correct: Correctly classified test images, summed over seeds.
        total: Test images, summed over seeds.
        reason: Why a missing figure cannot be filled, or details on how a figure was obtained.
        mark: Whether it is the best or second best of its column.
        note: A word or two printed after the figure or instead of it. Data formats have the `reason` instead.
    """

    value: float | None = None
    std: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    filled: int = 0
    expected: int = 1
    parts: Literal["seeds", "datasets", "runs"] = "seeds"
    correct: int | None = None
    total: int | None = None
    reason: str | None = None
    mark: Mark | None = None
    note: str = ""

    @property
    def full(self) -> bool:
        """Whether nothing is missing, so that the figure may be compared."""
        return self.value is not None and self.filled == self.expected


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Args:
        key: Its name in data formats; it ends with the unit. What the column shows is in the fields below.
        title: Its printed name.
        unit: The unit of its values.
        group: A heading shared with neighbouring columns; empty when it has none.
        shown: False for a column that is in the data formats only.
        headline: Whether its figures summarize the whole board.
        metric: The metric of its figures; None where they are of another kind, such as costs.
        dataset: The card name of the dataset that its figures are of; empty if that is the table's, or none.
        shots: Training images per class of its figures, in the few-shot protocol; None otherwise.
    """

    key: str
    title: str
    unit: Unit = "percent"
    group: str = ""
    shown: bool = True
    headline: bool = False
    metric: Metric | None = None
    dataset: str = ""
    shots: int | None = None


@dataclass(frozen=True)
class Row:
    """The cells of a method, one per column of the table."""

    name: Label
    cells: tuple[Cell, ...]

    @property
    def label(self) -> str:
        """The printed name."""
        return str(self.name)


@dataclass(frozen=True)
class Table:
    """Methods by figures.

    Args:
        key: Its name in data formats: a dataset's card name, "average", "targets", "cost".
        title: Its printed name.
        columns: The columns, from left to right.
        rows: One row per method.
        dataset: The card name if the whole table is of one dataset; empty otherwise.
    """

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    dataset: str = ""

    def headlines(self, metric: Metric) -> list[Column]:
        """The headline columns of this metric, the one of the most training images per class first."""
        found = [column for column in self.columns if column.headline and column.metric == metric]
        return sorted(found, key=lambda column: column.shots or 0, reverse=True)

    def column(self, column: Column) -> list[Cell]:
        """The cells of one of the columns, row by row."""
        place = self.columns.index(column)
        return [row.cells[place] for row in self.rows]


@dataclass(frozen=True)
class Board:
    """The leaderboard of a protocol.

    Args:
        suite: The suite's name.
        protocol: The protocol's name.
        title: The printed title.
        caption: How to read the figures.
        backbone: The backbone's name.
        miniature: Whether the results are of the miniature, and so must not be compared with published ones.
        seeds: The expected seeds.
        tables: The most important one first, all with the same methods in the same order.
        notes: Lines on what is missing or was left out.
        own_splits: The datasets whose figures come from a split that the harness made itself.
        part: Empty for the leaderboard; "statistics" or "published" for a board derived from it.
        brief: For a derived board, the notes that replace all of it where there is little room.
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

    def reference_label(self, name: str) -> str:
        """The label of the row of the reference `name`, which is the first; empty if it has no row."""
        first = self.tables[0].rows[:1]
        found = [row.label for row in first if name in (row.label, str(replace(row.name, shots=None)))]
        return found[0] if found else ""

    @property
    def datasets(self) -> list[str]:
        """The card names of the datasets that its figures are of."""
        of_columns = (column.dataset for table in self.tables for column in table.columns)
        names = [*(table.dataset for table in self.tables), *of_columns]
        return list(dict.fromkeys(name for name in names if name))

    def headline(self) -> Mapping[Label, Mapping[str, float]]:
        """For each method its complete headline figures in percent, the headline metric first.

        Returns:
            The figures of each row by column and protocol, such as "HM base-to-novel".
        """
        main = protocol_info(self.protocol).headline
        means: dict[Label, dict[str, float]] = {}
        for table in self.tables:
            for row in table.rows:
                cells = zip(table.columns, row.cells, strict=True)
                for column, cell in sorted(cells, key=lambda each: each[0].metric != main):
                    if column.headline and cell.full and cell.value is not None:
                        means.setdefault(row.name, {})[f"{column.title} {self.protocol}"] = cell.value
        return means


def in_brief(board: Board) -> Board:
    """The board reduced to its `brief` notes; unchanged if it has none."""
    if not board.brief:
        return board
    return replace(board, title=f"{board.title} in brief", caption="", tables=(), notes=board.brief)
