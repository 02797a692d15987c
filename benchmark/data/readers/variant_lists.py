"""The reader of FGVC-Aircraft's own lists: a file of class names, and per split a file of image ids and names."""

from functools import partial
from pathlib import Path
from typing import Annotated

from pydantic import Field

from promptarena.benchmark.core.config_files import Text, check, read_text
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data.cards import Card, SplitName, readable
from promptarena.benchmark.data.images import FileImages
from promptarena.benchmark.data.readers.listing import Listing, Options, Reader, image_folder, require_files


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
    names = read_text(folder / options.classes).splitlines()
    if len(set(names)) < len(names):
        raise UserError(f"{folder / options.classes}: names a class twice")
    class_names = tuple(map(readable, names))
    if card.class_names and card.class_names != class_names:
        raise UserError(f"{folder / options.classes}: its names are not those of {card.path}; restore the file")
    label_of = {name: label for label, name in enumerate(names)}
    keys: list[str] = []
    labels: list[int] = []
    lines = read_text(folder / options.splits[split]).splitlines() if split in options.splits else []
    for number, line in enumerate(lines, start=1):
        image, _, name = line.partition(" ")
        if name not in label_of or "/" in image:
            raise UserError(f"{folder / options.splits[split]}: line {number} is not ID and class name: {line!r}")
        keys.append(f"{image}.jpg")
        labels.append(label_of[name])
    require_files(card, folder / options.image_dir, keys)
    images = partial(FileImages, folder / options.image_dir, tuple(keys))
    return Listing(tuple(keys), tuple(labels), class_names, images)


READER = Reader(name="variant_lists", read=read_variant_lists, place=4)
