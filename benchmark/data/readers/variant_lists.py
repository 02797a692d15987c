"""The reader of FGVC-Aircraft's own lists: a file of class names, and per split a file of image ids and names."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated

from pydantic import Field

from promptarena.benchmark.core.config_files import Text, check, read_lines
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data.cards import Card, SplitName
from promptarena.benchmark.data.class_names import readable
from promptarena.benchmark.data.images import FileImages
from promptarena.benchmark.data.readers.listing import Listing, Options, Reader, image_folder
from promptarena.benchmark.data.readers.same_images import (
    refuse_repeated_paths,
    refuse_shared_files,
    require_files,
)


class VariantListOptions(Options):
    """`classes` lists the names in label order; each file of `splits` has lines of "ID NAME" (a name may hold spaces).

    Image ID is the file `folder/image_dir/ID.jpg`.
    """

    folder: Text
    image_dir: str = ""
    classes: Text
    splits: Annotated[dict[SplitName, Text], Field(min_length=1)]


def read_variant_lists(card: Card, split: SplitName, root: Path | None) -> Listing:
    """The images of a split in the order of its list. Raises UserError, with file and line, for a line that does not
    fit."""
    options = check(f"{card.path}: [options]", card.options, VariantListOptions)
    folder = image_folder(card, options.folder, root)
    names = read_lines(folder / options.classes)
    if len(set(names)) < len(names):
        raise UserError(f"{folder / options.classes}: names a class twice")
    class_names = tuple(map(readable, names))
    if card.class_names and card.class_names != class_names:
        raise UserError(f"{folder / options.classes}: its names are not those of {card.path}; restore the file")
    label_of = {name: label for label, name in enumerate(names)}
    # The published lists of a built-in card share no image, so the others are not read.
    read = {name: path for name, path in options.splits.items() if name == split or not card.built_in}
    listed = {name: _rows(folder / path, label_of) for name, path in read.items()}
    keys_of = {name: tuple(key for key, _ in rows) for name, rows in listed.items()}
    keys, labels = keys_of.get(split, ()), tuple(label for _, label in listed.get(split, ()))
    refuse_repeated_paths(card.path, [key for listed_keys in keys_of.values() for key in listed_keys])
    require_files(card, folder / options.image_dir, keys)
    refuse_shared_files(card, folder / options.image_dir, keys_of, within=True)
    images = partial(FileImages, folder / options.image_dir, keys, card.exif_rotation)
    return Listing(keys, labels, class_names, images)


def _rows(path: Path, label_of: Mapping[str, int]) -> list[tuple[str, int]]:
    """Key and label of each line of a split's list."""
    rows: list[tuple[str, int]] = []
    for number, line in enumerate(read_lines(path), start=1):
        image, _, name = line.partition(" ")
        if name not in label_of or "/" in image:
            raise UserError(f"{path}: line {number} is not ID and class name: {line!r}")
        rows.append((f"{image}.jpg", label_of[name]))
    return rows


READER = Reader(name="variant_lists", read=read_variant_lists, place=4)
