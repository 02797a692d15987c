"""The reader of class folders: one folder per class, inside one folder per split or without a split."""

import os
import random
from functools import partial
from pathlib import Path

from pydantic import Field

from promptarena.benchmark.core.config_files import Text, check
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data.cards import SPLITS, Card, SplitName, readable
from promptarena.benchmark.data.images import EXTENSIONS, FileImages
from promptarena.benchmark.data.readers.listing import Listing, Options, Reader, image_folder

OWN_SPLIT_SEED = 1
"""Seed of the split that is made for a folder without one."""


class FolderOptions(Options):
    """`splits` names the sub-folder of each split that exists; `own_split` divides one folder of classes instead."""

    folder: Text
    splits: dict[SplitName, Text] = Field(default_factory=lambda: {name: str(name) for name in SPLITS})
    own_split: bool = False


def read_folder(card: Card, split: SplitName, root: Path | None) -> Listing:
    """The images of a split, by class in label order and by file name within a class.

    Labels follow the card's `class_folders`, else the sorted names of the folders.
    """
    options = check(f"{card.path}: [options]", card.options, FolderOptions)
    folder = image_folder(card, options.folder, root)
    if options.own_split:
        classes = _class_folders(folder)
        if not classes:
            raise UserError(f"dataset {card.name!r}: {folder} holds no class folders")
        images = _own_split(card, folder, classes, split)
    else:
        classes = _common_classes(card, folder, options)
        inside = options.splits.get(split)
        images = {name: _keys(folder, f"{inside}/{name}") if inside else [] for name in classes}
    if card.class_names and len(card.class_names) != len(classes):
        raise UserError(
            f"{card.path}: field 'class_names' has {len(card.class_names)} names, "
            f"but {folder} has {len(classes)} class folders"
        )
    keys = tuple(key for name in classes for key in images[name])
    return Listing(
        keys=keys,
        labels=tuple(label for label, name in enumerate(classes) for _ in images[name]),
        class_names=card.class_names or tuple(readable(name) for name in classes),
        open_images=partial(FileImages, folder, keys),
        own_split=options.own_split,
    )


def _common_classes(card: Card, folder: Path, options: FolderOptions) -> list[str]:
    """The class folders that all splits share, in label order; validation may lack some."""
    found = {
        split: _class_folders(folder / inside) for split, inside in options.splits.items() if (folder / inside).is_dir()
    }
    if not found:
        there = _class_folders(folder)
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


def _own_split(card: Card, folder: Path, classes: list[str], split: SplitName) -> dict[str, list[str]]:
    """The split's images of each class: 50 % train, 20 % val, the rest test.

    One random stream shuffles all classes in order, so the split depends on the order and the names of the files.
    """
    stream = random.Random(OWN_SPLIT_SEED)
    parts: dict[str, list[str]] = {}
    for name in classes:
        files = _keys(folder, name)
        if len(files) < 4:
            raise UserError(
                f"dataset {card.name!r}: {folder / name} holds {len(files)} images; own_split needs at least 4"
            )
        stream.shuffle(files)
        train, val = round(0.5 * len(files)), round(0.2 * len(files))
        parts[name] = {"train": files[:train], "val": files[train : train + val], "test": files[train + val :]}[split]
    return parts


def _class_folders(folder: Path) -> list[str]:
    return sorted(entry.name for entry in _visible(folder) if entry.is_dir())


def _keys(folder: Path, inside: str) -> list[str]:
    """The images in `folder / inside`, sorted, as paths relative to `folder`; none when it does not exist."""
    if not (folder / inside).is_dir():
        return []
    names = sorted(entry.name for entry in _visible(folder / inside) if entry.is_file())
    return [f"{inside}/{name}" for name in names if os.path.splitext(name)[1].lower() in EXTENSIONS]


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    """The entries of a folder that do not begin with a dot.

    Raises:
        UserError: The folder cannot be read, or a name is not UTF-8 and so cannot be part of a split's digest.
    """
    try:
        with os.scandir(folder) as entries:
            visible = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise UserError(f"cannot read {folder}: {error.strerror}") from error
    for entry in visible:
        if entry.name.encode(errors="replace").decode() != entry.name:
            raise UserError(f"{folder}: the name {os.fsencode(entry.name)!r} is not UTF-8; rename it")
    return visible


READER = Reader(name="folder", read=read_folder, place=2)
