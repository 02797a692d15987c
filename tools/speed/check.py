"""Whether a measured ratio, ours against the naive path, has fallen below the one in the committed table."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

COMMITTED = Path(__file__).parents[2] / "results" / "speed"
AGAINST_NAIVE: Mapping[str, Sequence[str]] = {
    "steps": ("method", "classes", "batch"),
    "evaluate": ("method", "classes", "images"),
    "text": ("contexts", "cumulative"),
    "growth_classes": ("method", "classes"),
    "growth_images": ("training images",),
    "runs": ("method", "epochs x steps"),
}
"""Tables with ratios against the naive path, and the headers that say what a row is about."""
LEAST = 0.85
"""The share of a committed ratio that must be reached."""


class Table(NamedTuple):
    """A table as it is shown: cells are text."""

    title: str
    headers: list[str]
    rows: list[list[str]]
    about: str


class Fall(NamedTuple):
    """A ratio that has fallen: its table, the cells that say what its row is about and its header, now and before."""

    table: str
    work: tuple[str, ...]
    cell: str
    committed: str

    def __str__(self) -> str:
        return f"{self.table}: {', '.join(self.work)}: {self.cell}, committed {self.committed}"


class Checked(NamedTuple):
    """How many ratios were compared, and those that have fallen."""

    compared: int
    fallen: list[Fall]


def committed_tables(folder: Path) -> dict[str, Table]:
    """The tables with ratios against the naive path, by name.

    Args:
        folder: Holds NAME.md files, as `Report` writes them. Missing ones are left out.

    Returns:
        The tables.
    """
    return {name: _table(folder / f"{name}.md") for name in AGAINST_NAIVE if (folder / f"{name}.md").is_file()}


def _table(path: Path) -> Table:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return Table(lines[0].removeprefix("# "), cells[0], cells[2:], lines[-1])


def check(measured: Mapping[str, Table], committed: Mapping[str, Table]) -> Checked:
    """Compare the ratios of the same work.

    A row counts if the committed table has the same title, the same setting (threads, model) and the same row.
    Ratios of CPU time are compared, not those of the clock, which a busy machine moves by more than the limit.

    Args:
        measured: The tables of this run, by name.
        committed: Those to compare with.

    Returns:
        The count, and each ratio below LEAST of its committed one. A ratio that is no number has fallen.
    """
    compared, fallen = 0, []
    for name in measured.keys() & committed.keys() & AGAINST_NAIVE.keys():
        now, then = measured[name], committed[name]
        if (now.title, _setting(now.about)) != (then.title, _setting(then.about)):
            continue
        before = dict(_ratios(name, then))
        for key, cell in _ratios(name, now):
            if (least := LEAST * _number(before.get(key, ""))) > 0:
                compared += 1
                if _number(cell) < least:
                    fallen.append(Fall(name, key, cell, before[key]))
    return Checked(compared, sorted(fallen))


def fallen_again(
    fallen: Sequence[Fall],
    committed: Mapping[str, Table],
    measures: Mapping[str, Callable[[str, int], Mapping[str, Table]]],
) -> list[Fall]:
    """What falls in a second measurement, too: something else on the machine can slow a row down for its minute.

    Args:
        fallen: What fell in the first one.
        committed: As for `check`.
        measures: By the name of a table, what measures its row of a method and a number of classes alone.

    Returns:
        `fallen` without the ratios that the second measurement compares and finds high enough.
    """

    @cache
    def second(table: str, method: str, classes: str) -> Checked:
        return check(measures[table](method, int(classes)), committed)

    def stands(fall: Fall) -> bool:
        if fall.table not in measures:
            return True
        again = second(fall.table, *fall.work[:2])
        return not again.compared or fall.work in [each.work for each in again.fallen]

    return [fall for fall in fallen if stands(fall)]


def _setting(about: str) -> str:
    return about.rpartition(";")[2]  # what follows the machine


def _ratios(name: str, table: Table) -> Iterator[tuple[tuple[str, ...], str]]:
    for row in table.rows:
        cells = dict(zip(table.headers, row, strict=True))
        for header, cell in cells.items():
            if header.endswith("ratio") and "wall" not in header:
                yield (*(cells[key] for key in AGAINST_NAIVE[name]), header), cell


def _number(cell: str) -> float:
    found = re.match(r"[\d.]+(?=x)", cell)
    return float(found.group()) if found else 0.0
