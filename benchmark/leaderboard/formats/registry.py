"""The formats of leaderboards, one file each: a module of this folder that has a value called FORMAT.

A new format is a new file here and nothing else. It is then a choice of `--format`, and the ending of `--out` that asks
for it. Boards kept in the record are kept in it too.
To know a format's name its module is imported, so what is slow to import is imported where it is used.
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
        name: What `--format` calls it.
        ending: The ending of its files, without the dot. Empty for a format that is not for files.
        render: Makes one text of several boards.
        render_one: Makes the text of a single board, where that differs from a list of one.
        place: Where it stands in help and listings. Those with the same place stand by name.
    """

    name: str
    ending: str
    render: Callable[[Sequence[Board]], str]
    render_one: Callable[[Board], str] | None = None
    place: int = 100


def all_formats() -> tuple[TableFormat, ...]:
    """The formats that the modules of this folder declare.

    Returns:
        They are in the order of `place`, then of `name`.
    """
    names = (module.name for module in pkgutil.iter_modules(formats.__path__, f"{formats.__name__}."))
    found = (getattr(import_module(name), "FORMAT", None) for name in names)
    declared = (each for each in found if isinstance(each, TableFormat))
    return tuple(sorted(declared, key=lambda each: (each.place, each.name)))


def format_names() -> tuple[str, ...]:
    """The names of all formats, in the order of help and listings."""
    return tuple(each.name for each in all_formats())


def file_endings() -> dict[str, str]:
    """The ending of each format that is for files, by the format's name."""
    return {each.name: each.ending for each in all_formats() if each.ending}


def find_format(name: str) -> TableFormat:
    """The format of a name.

    Args:
        name: As in `--format`.

    Raises:
        UserError: No module declares it. Near names are suggested.
    """
    for each in all_formats():
        if each.name == name:
            return each
    raise unknown("format", name, format_names())
