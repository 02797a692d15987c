"""The reader of class folders: one folder per class, inside one folder per split or without a split."""

import random
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pydantic import Field

from promptarena.benchmark.core.config_files import Text, check
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data.cards import SPLITS, Card, SplitName
from promptarena.benchmark.data.class_names import natural, readable, spoken
from promptarena.benchmark.data.images import FileImages
from promptarena.benchmark.data.readers.folder_contents import class_folders, class_images, is_folder
from promptarena.benchmark.data.readers.listing import Listing, Options, Reader, image_folder
from promptarena.benchmark.data.readers.same_images import refuse_shared_files

OWN_SPLIT_SEED = 1
"""Seed of the split that is made for a folder without one."""


class FolderOptions(Options):
    """`splits` names the sub-folder of each split that exists; `own_split` divides one folder of classes instead."""

    folder: Text
    splits: dict[SplitName, Text] = Field(default_factory=lambda: {name: str(name) for name in SPLITS})
    own_split: bool = False


def read_folder(card: Card, split: SplitName, root: Path | None) -> Listing:
    """The images of a split, by class in label order and by file name within a class.

    Labels follow the card's `class_folders`, else its `class_names` if these are the folders' names, else the sorted
    names of the folders.
    """
    options = check(f"{card.path}: [options]", card.options, FolderOptions)
    folder = image_folder(card, options.folder, root)
    # Of a user's own card, all splits are listed, so that an image of two splits is found. Built-in cards have
    # published splits, and listing all of ImageNet three times would take long.
    listed: tuple[SplitName, ...] = (split,) if card.built_in else SPLITS
    if options.own_split:
        classes = class_folders(card, folder)
        if not classes:
            raise UserError(f"dataset {card.name!r}: {folder} holds no class folders")
        divided = _own_split(card, folder, classes)
        images = {name: divided[name] for name in listed}
    else:
        classes = _common_classes(card, folder, options)
        images = {
            name: class_images(card, folder, [f"{options.splits[name]}/{each}" for each in classes])
            if name in options.splits
            else [[] for _ in classes]
            for name in listed
        }
    if card.class_names and len(card.class_names) != len(classes):
        raise UserError(
            f"{card.path}: field 'class_names' has {len(card.class_names)} names, "
            f"but {folder} has {len(classes)} class folders"
        )
    keys_of = {name: tuple(key for keys in images[name] for key in keys) for name in listed}
    refuse_shared_files(card, folder, keys_of, within=False)
    order = label_order(card, classes)
    keys = tuple(key for place in order for key in images[split][place])
    return Listing(
        keys=keys,
        labels=tuple(label for label, place in enumerate(order) for _ in images[split][place]),
        class_names=card.class_names or tuple(readable(name) for name in classes),
        open_images=partial(FileImages, folder, keys, card.exif_rotation),
        own_split=options.own_split,
    )


def label_order(card: Card, classes: Sequence[str]) -> list[int]:
    """The position of each label's class among the class folders.

    Args:
        card: The dataset.
        classes: Its class folders, as many as it has names; sorted unless the card lists them.

    Returns:
        The positions in label order: those of the folders that the card's names are, when they are folders' names.

    Raises:
        UserError: The card's names do not say which folder each belongs to.
    """
    unchanged = list(range(len(classes)))
    if not card.class_names or card.class_folders:
        return unchanged
    place_of = {spoken(name): place for place, name in enumerate(classes)}
    places = [place_of.get(spoken(name)) for name in card.class_names]
    known = [place for place in places if place is not None]
    if len(known) == len(classes):
        return known
    hint = "list them in a class_file with lines of FOLDER<tab>NAME"
    for label, place in enumerate(places):
        if place is not None and place != label:
            raise UserError(
                f"{card.path}: class {label} is called {card.class_names[label]!r}, but the folder of that place is "
                f"{classes[label]!r}; {hint}"
            )
    if len(known) < len(classes) and (by_number := sorted(classes, key=natural)) != list(classes):
        label = next(label for label in unchanged if by_number[label] != classes[label])
        raise UserError(
            f"{card.path}: field 'class_names' may be in another order than the class folders: class {label} is folder "
            f"{classes[label]!r}, not {by_number[label]!r}; {hint}"
        )
    return unchanged


def _common_classes(card: Card, folder: Path, options: FolderOptions) -> list[str]:
    """The class folders that all splits share, in label order; validation may lack some."""
    found = {
        split: class_folders(card, folder / inside)
        for split, inside in options.splits.items()
        if is_folder(card, folder / inside)
    }
    if not found:
        there = class_folders(card, folder)
        hint = "it is empty"
        if there:
            hint = "set own_split = true in [options] to divide its class folders"
        if there and card.class_folders:
            hint = f"it holds {there[0]!r}; rename or link what is meant"
        raise UserError(f"dataset {card.name!r}: {folder} has no {', '.join(options.splits.values())} folder; {hint}")
    classes = list(card.class_folders) or sorted({name for names in found.values() for name in names})
    for split, names in found.items():
        place = folder / options.splits[split]
        if strange := sorted(set(names) - set(classes)):
            raise UserError(
                f"dataset {card.name!r}: {place} holds the folder {strange[0]!r}, which is no class of {card.path}; "
                "this is another release or another dataset"
            )
        missing = sorted(set(classes) - set(names))
        if missing and split != "val":
            raise UserError(
                f"dataset {card.name!r}: {place} lacks the class folder {missing[0]!r}; every split needs the same "
                "classes"
            )
    return classes


def _own_split(card: Card, folder: Path, classes: Sequence[str]) -> dict[SplitName, list[list[str]]]:
    """The images of each split and class: 50 % train, 20 % val, the rest test.

    One random stream shuffles all classes in order, so the split depends on the order and the names of the files.
    """
    stream = random.Random(OWN_SPLIT_SEED)
    parts: dict[SplitName, list[list[str]]] = {split: [] for split in SPLITS}
    for name, files in zip(classes, class_images(card, folder, classes), strict=True):
        if len(files) < 4:
            raise UserError(
                f"dataset {card.name!r}: {folder / name} holds {len(files)} images; own_split needs at least 4"
            )
        stream.shuffle(files)
        train, val = round(0.5 * len(files)), round(0.2 * len(files))
        parts["train"].append(files[:train])
        parts["val"].append(files[train : train + val])
        parts["test"].append(files[train + val :])
    return parts


READER = Reader(name="folder", read=read_folder, place=2)
