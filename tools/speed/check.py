"""Whether a measured ratio, ours against the naive path, has fallen below the one in the committed table."""

import re
from collections.abc import Iterator, Mapping, Sequence
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


class Checked(NamedTuple):
    """How many ratios were compared, and a line for each that has fallen."""

    compared: int
    fallen: list[str]


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
        The count, and a line for each ratio below LEAST of its committed one. A ratio that is no number has fallen.
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
                    fallen.append(f"{name}: {', '.join(key)}: {cell}, committed {before[key]}")
    return Checked(compared, sorted(fallen))


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
