"""Readers: how the images and labels of a card's splits are listed. Listing never decodes a picture.

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
        They are by the name a card gives, in the order of `place`, then of the name.
    """
    names = (module.name for module in pkgutil.iter_modules(readers.__path__, f"{readers.__name__}."))
    found = (getattr(import_module(name), "READER", None) for name in names)
    declared = (each for each in found if isinstance(each, Reader))
    return {each.name: each for each in sorted(declared, key=lambda each: (each.place, each.name))}


def list_split(card: Card, split: SplitName, root: Path | None) -> Listing:
    """The images of a split as the card's reader finds them, unchecked against the card's counts.

    `root` is the folder of the public datasets; None takes it from the environment. Raises MissingDataError when the
    files are not there, UserError when they do not fit the card.
    """
    try:
        return all_readers()[card.reader].read(card, split, root)
    except OSError as error:
        raise UserError(f"dataset {card.name!r}: cannot read {error.filename}: {error.strerror}") from error
