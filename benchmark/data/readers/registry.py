"""Readers: how the images and labels of a card's splits are listed. Listing never decodes a picture.

A reader is one function from (card, split, data root) to a Listing; `READERS` finds it by the name in the card.
"""

from collections.abc import Mapping
from pathlib import Path

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data.cards import Card, ReaderName, SplitName
from promptarena.benchmark.data.readers.class_folders import read_folder
from promptarena.benchmark.data.readers.listing import Listing, Reader
from promptarena.benchmark.data.readers.miniature import read_miniature
from promptarena.benchmark.data.readers.split_json import read_split_json
from promptarena.benchmark.data.readers.variant_lists import read_variant_lists


def list_split(card: Card, split: SplitName, root: Path | None) -> Listing:
    """The images of a split as the card's reader finds them, unchecked against the card's counts.

    `root` is the folder of the public datasets; None takes it from the environment. Raises MissingDataError when the
    files are not there, UserError when they do not fit the card.
    """
    try:
        return READERS[card.reader](card, split, root)
    except OSError as error:
        raise UserError(f"dataset {card.name!r}: cannot read {error.filename}: {error.strerror}") from error


READERS: Mapping[ReaderName, Reader] = {
    "miniature": read_miniature,
    "folder": read_folder,
    "split_json": read_split_json,
    "variant_lists": read_variant_lists,
}
"""The readers by the name a card gives."""
