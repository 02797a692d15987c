"""Readers: how the images and labels of a card's splits are listed. Listing never decodes an image.

A reader is one file: a module of this folder that has a value called READER. A new layout is a new file here and
nothing else. A card may then name it.
"""

import pkgutil
from importlib import import_module
from pathlib import Path

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data import readers
from promptarena.benchmark.data.cards import Card, SplitName
from promptarena.benchmark.data.readers.listing import Listing, Reader


def all_readers() -> dict[str, Reader]:
    """The readers that the modules of this folder declare.

    Returns:
        The readers by the name that a card gives, sorted by `place`, then by name.
    """
    names = (module.name for module in pkgutil.iter_modules(readers.__path__, f"{readers.__name__}."))
    found = (getattr(import_module(name), "READER", None) for name in names)
    declared = (each for each in found if isinstance(each, Reader))
    return {each.name: each for each in sorted(declared, key=lambda each: (each.place, each.name))}


def list_split(card: Card, split: SplitName, root: Path | None) -> Listing:
    """List the images of a split with the card's reader, without checking the card's counts.

    Args:
        card: The dataset.
        split: The split.
        root: The folder of the public datasets; None takes it from the environment.

    Returns:
        What the reader found.

    Raises:
        MissingDataError: The files are not there.
        UserError: The files do not fit the card.
    """
    try:
        return all_readers()[card.reader].read(card, split, root)
    except OSError as error:
        raise UserError(f"dataset {card.name!r}: cannot read {error.filename}: {error.strerror}") from error
