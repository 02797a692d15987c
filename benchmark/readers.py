"""Readers: how the images and labels of a card's splits are listed. Listing never decodes a picture.

A reader is one function from (card, split, data root) to a Listing; `READERS` finds it by the name in the card.
"""

import hashlib
import os
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from promptarena.benchmark.cards import SPLITS, Card, ReaderName, SplitName, Text, readable
from promptarena.benchmark.errors import UserError
from promptarena.benchmark.images import EXTENSIONS, FileImages, ImageStore, PixelArray, RenderedImages
from promptarena.benchmark.keys import digest
from promptarena.benchmark.modelfiles import check, read_bytes, read_json_model

DATA_VARIABLE = "PROMPTARENA_DATA"
"""The environment variable that names the folder of the public datasets when `--root` is not given."""

OWN_SPLIT_SEED = 1
"""Seed of the split made for a folder that has none."""


class MissingDataError(UserError):
    """The dataset is not on this machine, or nobody said where."""


@dataclass(frozen=True)
class Listing:
    """What a reader found: identities (`keys`) and labels of N images, the class names by label, a way to the pixels.

    A key is a path relative to the images' folder (`/` between parts), or a made-up name that also fixes the pixels.
    """

    keys: tuple[str, ...]
    labels: tuple[int, ...]
    class_names: tuple[str, ...]
    open_images: Callable[[], ImageStore]


Reader = Callable[[Card, SplitName, Path | None], Listing]


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FolderOptions(_Options):
    """`splits` names the sub-folder of each split that exists; `own_split` divides one folder of classes instead."""

    folder: Text
    splits: dict[SplitName, Text] = Field(default_factory=lambda: {name: str(name) for name in SPLITS})
    own_split: bool = False


class SplitJsonOptions(_Options):
    """`split_file` is found beside the card; its paths are relative to `folder/image_dir`."""

    folder: Text
    split_file: Text
    split_sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    image_dir: str = ""


class SplitFile(BaseModel):
    """The published split format: per split, rows of (relative image path, label from 0, class name); order matters."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    train: tuple[tuple[str, int, str], ...] = ()
    val: tuple[tuple[str, int, str], ...] = ()
    test: tuple[tuple[str, int, str], ...] = ()

    def rows(self, split: SplitName) -> tuple[tuple[str, int, str], ...]:
        """The rows of one split; none when the file does not have it."""
        return {"train": self.train, "val": self.val, "test": self.test}[split]


def list_split(card: Card, split: SplitName, root: Path | None) -> Listing:
    """The images of a split as the card's reader finds them, unchecked against the card's counts.

    `root` is the folder of the public datasets; None takes it from the environment. Raises MissingDataError when the
    files are not there, UserError when they do not fit the card.
    """
    return READERS[card.reader](card, split, root)


def image_folder(card: Card, folder: str, root: Path | None) -> Path:
    """Where a card's files are: `folder` under the data root for a built-in card, beside the card for a user's own."""
    path = Path(folder).expanduser()
    if not card.built_in:
        path = card.path.parent / path
    elif not path.is_absolute():
        base = root or (Path(os.environ[DATA_VARIABLE]) if os.environ.get(DATA_VARIABLE) else None)
        if base is None:
            raise MissingDataError(
                f"dataset {card.name!r} is read from files: name the folder of all datasets with --root "
                f"or the environment variable {DATA_VARIABLE}"
            )
        path = base.expanduser() / path
    if not path.is_dir():
        raise MissingDataError(
            f"dataset {card.name!r}: folder {path} does not exist; put the images there (see {card.path})"
        )
    return path


def _read_miniature(card: Card, split: SplitName, root: Path | None) -> Listing:
    from promptarena.benchmark.mini import reader as mini

    pixels_decided_by = digest(mini.pack_digest(), mini.RENDER_VERSION, card.name, card.options)[:12]
    labels = mini.labels(card.options, card.name, split)
    return Listing(
        keys=tuple(f"{card.name}/{split}/{index}@{pixels_decided_by}" for index in range(len(labels))),
        labels=tuple(labels.tolist()),
        class_names=card.class_names,
        open_images=partial(RenderedImages, partial(_render, card, split), len(labels)),
    )


def _render(card: Card, split: SplitName) -> PixelArray:
    from promptarena.benchmark.mini import reader as mini

    return mini.render(card.options, card.name, split)[0]


def _read_folder(card: Card, split: SplitName, root: Path | None) -> Listing:
    options = check(f"{card.path}: [options]", card.options, FolderOptions)
    folder = image_folder(card, options.folder, root)
    if options.own_split:
        classes = _class_folders(folder)
        if not classes:
            raise UserError(f"dataset {card.name!r}: {folder} holds no class folders")
        pictures = _own_split(card, folder, classes, split)
    else:
        classes = _common_classes(card, folder, options)
        inside = options.splits.get(split)
        pictures = {name: _keys(folder, f"{inside}/{name}") if inside else [] for name in classes}
    rows = [(key, label) for label, name in enumerate(classes) for key in pictures[name]]
    if card.class_names and len(card.class_names) != len(classes):
        raise UserError(
            f"{card.path}: field 'class_names' has {len(card.class_names)} names, "
            f"but {folder} has {len(classes)} class folders"
        )
    keys = tuple(key for key, _ in rows)
    return Listing(
        keys=keys,
        labels=tuple(label for _, label in rows),
        class_names=card.class_names or tuple(readable(name) for name in classes),
        open_images=partial(FileImages, folder, keys),
    )


def _common_classes(card: Card, folder: Path, options: FolderOptions) -> list[str]:
    """The class folders that all splits share, sorted; validation may lack some."""
    found = {
        split: _class_folders(folder / inside) for split, inside in options.splits.items() if (folder / inside).is_dir()
    }
    if not found:
        hint = (
            "set own_split = true in [options] to divide its class folders" if _class_folders(folder) else "it is empty"
        )
        raise UserError(f"dataset {card.name!r}: {folder} has no {', '.join(options.splits.values())} folder; {hint}")
    classes = sorted({name for names in found.values() for name in names})
    for split, names in found.items():
        missing = sorted(set(classes) - set(names))
        if missing and split != "val":
            raise UserError(
                f"dataset {card.name!r}: {folder / options.splits[split]} lacks the class folder {missing[0]!r}; "
                "every split needs the same classes"
            )
    return classes


def _own_split(card: Card, folder: Path, classes: list[str], split: SplitName) -> dict[str, list[str]]:
    """Per class, its part of 50 % train, 20 % val and the rest test: shuffled names, one private random stream."""
    stream = random.Random(OWN_SPLIT_SEED)
    parts: dict[str, list[str]] = {}
    for name in classes:
        files = _keys(folder, name)
        if len(files) < 4:
            raise UserError(
                f"dataset {card.name!r}: {folder / name} holds {len(files)} pictures; own_split needs at least 4"
            )
        stream.shuffle(files)
        train, val = round(0.5 * len(files)), round(0.2 * len(files))
        parts[name] = {"train": files[:train], "val": files[train : train + val], "test": files[train + val :]}[split]
    return parts


def _class_folders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))


def _keys(folder: Path, inside: str) -> list[str]:
    """The pictures in `folder / inside`, by name, as paths relative to `folder`; none when it does not exist."""
    if not (folder / inside).is_dir():
        return []
    with os.scandir(folder / inside) as entries:
        names = [entry.name for entry in entries if entry.is_file() and not entry.name.startswith(".")]
    return [f"{inside}/{name}" for name in sorted(names) if os.path.splitext(name)[1].lower() in EXTENSIONS]


def _read_split_json(card: Card, split: SplitName, root: Path | None) -> Listing:
    options = check(f"{card.path}: [options]", card.options, SplitJsonOptions)
    path = card.path.parent / options.split_file
    content = read_bytes(path)
    seen = hashlib.sha256(content).hexdigest()
    if options.split_sha256 not in (None, seen):
        raise UserError(
            f"dataset {card.name!r}: {path} has SHA-256 {seen}, expected {options.split_sha256}; restore the file"
        )
    table = read_json_model(path, content, SplitFile)
    class_names = _class_names(path, table)
    if card.class_names and card.class_names != class_names:
        pairs = zip(card.class_names, class_names, strict=False)
        label = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(card.class_names), len(class_names)))
        raise UserError(
            f"{card.path}: field 'class_names' differs from {path} at label {label}; leave the field out or mend it"
        )
    _check_paths(path, (row[0] for name in SPLITS for row in table.rows(name)))
    folder = image_folder(card, options.folder, root) / options.image_dir
    keys = tuple(row[0] for row in table.rows(split))
    return Listing(keys, tuple(row[1] for row in table.rows(split)), class_names, partial(FileImages, folder, keys))


def _class_names(path: Path, table: SplitFile) -> tuple[str, ...]:
    """The names by label; labels must be exactly 0..C-1, each with one name."""
    names: dict[int, str] = {}
    for split in SPLITS:
        for image, label, name in table.rows(split):
            if names.setdefault(label, name) != name:
                raise UserError(f"{path}: label {label} is called {names[label]!r} and, at {image!r}, {name!r}")
    if sorted(names) != list(range(len(names))):
        gap = next(label for label in range(len(names)) if label not in names)
        raise UserError(f"{path}: labels must be 0 to {len(names) - 1} without a gap, but label {gap} is missing")
    return tuple(readable(names[label]) for label in range(len(names)))


def _check_paths(path: Path, images: Iterable[str]) -> None:
    for image, times in Counter(images).items():
        if times > 1:
            raise UserError(f"{path}: image {image!r} is listed {times} times; an image belongs to one split")
        if image.startswith("/") or ".." in image.split("/"):
            raise UserError(f"{path}: image {image!r} lies outside the image folder; paths must be relative to it")


READERS: Mapping[ReaderName, Reader] = {
    "miniature": _read_miniature,
    "folder": _read_folder,
    "split_json": _read_split_json,
}
"""The readers by the name a card gives."""
