"""How the commands print: unchanged text, and plain tables that fit the terminal."""

from rich.console import Console
from rich.table import Table
from rich.text import Text


def console(*, stderr: bool = False) -> Console:
    """A console that prints text unchanged, without markup: names, paths and errors may contain any characters."""
    return Console(stderr=stderr, soft_wrap=True, markup=False, emoji=False, highlight=False)


def table(*headers: str) -> Table:
    """A table without lines whose cells are wrapped to fit."""
    made = Table(box=None, pad_edge=False)
    for header in headers:
        made.add_column(header, overflow="fold")
    return made


def add(to: Table, *cells: str | Text) -> None:
    """Add a row of plain or styled text."""
    to.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells))
