"""The formats of leaderboards: each is a module of this folder that has a value called FORMAT.

A new format is one new file here and nothing else. It is then a choice of `--format`, its file ending selects it in
`--out`, and boards kept in the record are kept in it too. All modules here are imported to list the formats, so a
format imports slow libraries inside its functions.
"""

import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

from promptarena.benchmark.core.errors import unknown
from promptarena.benchmark.leaderboard import formats
from promptarena.benchmark.leaderboard.model import Board


@dataclass(frozen=True)
class TableFormat:
    """One format of leaderboards.

    Args:
        name: Its name in `--format`.
        ending: The ending of its files, without the dot. Empty for a format that is not written to files.
        render: Turns several boards into one text.
        render_one: Turns a single board into a text, where that differs from a list of one board.
        place: Its position in help and listings; formats with the same position are sorted by name.
    """

    name: str
    ending: str
    render: Callable[[Sequence[Board]], str]
    render_one: Callable[[Board], str] | None = None
    place: int = 100


def all_formats() -> tuple[TableFormat, ...]:
    """The formats that the modules of this folder declare, ordered by `place`, then by `name`."""
    names = (module.name for module in pkgutil.iter_modules(formats.__path__, f"{formats.__name__}."))
    found = (getattr(import_module(name), "FORMAT", None) for name in names)
    declared = (each for each in found if isinstance(each, TableFormat))
    return tuple(sorted(declared, key=lambda each: (each.place, each.name)))


def format_names() -> tuple[str, ...]:
    """The names of all formats, in the order of help and listings."""
    return tuple(each.name for each in all_formats())


def file_endings() -> dict[str, str]:
    """The file ending of each format that is written to files, by the format's name."""
    return {each.name: each.ending for each in all_formats() if each.ending}


def find_format(name: str) -> TableFormat:
    """The format with this name.

    Args:
        name: The name, as in `--format`.

    Raises:
        UserError: No module declares it. The message suggests similar names.
    """
    for each in all_formats():
        if each.name == name:
            return each
    raise unknown("format", name, format_names())
