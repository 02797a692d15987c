"""The reader of split files in CoOp's format: JSON lists of images, labels and class names."""

import hashlib
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

from promptarena.benchmark.core.config_files import Text, check, read_bytes, read_json_model
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data.cards import SPLITS, Card, SplitName
from promptarena.benchmark.data.class_names import readable
from promptarena.benchmark.data.images import FileImages
from promptarena.benchmark.data.readers.listing import (
    Listing,
    MissingDataError,
    Options,
    Reader,
    data_root,
    image_folder,
)
from promptarena.benchmark.data.readers.same_images import (
    refuse_repeated_paths,
    refuse_shared_files,
    require_files,
)

Annotations = Literal["class_folders", "pets", "cars", "flowers", "sun397", "ucf101"]


class SplitJsonOptions(Options):
    """The paths in `split_file` are relative to `folder/image_dir`.

    The file itself is in `folder` for a built-in card, and in the card's folder for a user's own. `annotations` and
    `drop` say how to read labels from the dataset's own files, for a split made without the published one.
    """

    folder: Text
    split_file: Text
    split_sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    image_dir: str = ""
    annotations: Annotations | None = None
    drop: tuple[Text, ...] = ()


class SplitFile(BaseModel):
    """The published split format: per split, rows of (relative image path, label from 0, class name); order matters."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    train: tuple[tuple[str, int, str], ...] = ()
    val: tuple[tuple[str, int, str], ...] = ()
    test: tuple[tuple[str, int, str], ...] = ()

    def rows(self, split: SplitName) -> tuple[tuple[str, int, str], ...]:
        """The rows of one split; none when the file does not have it."""
        return {"train": self.train, "val": self.val, "test": self.test}[split]


def own_split_path(card: Card, root: Path | None) -> Path:
    """The path of the split that is made on request when the published one is missing."""
    return data_root(card, root) / "own_splits" / f"split_own_{card.name}.json"


def read_split_json(card: Card, split: SplitName, root: Path | None) -> Listing:
    """The rows of a split in the file's order. Raises UserError when the file is not the card's or an image is
    missing."""
    options = check(f"{card.path}: [options]", card.options, SplitJsonOptions)
    folder = image_folder(card, options.folder, root)
    path, own = _find(card, options, folder, root)
    content = read_bytes(path)
    if not own:
        _check_digest(card, options, path, content)
    table = read_json_model(path, content, SplitFile)
    class_names = _class_names(path, table)
    if card.class_names and card.class_names != class_names:
        pairs = zip(card.class_names, class_names, strict=False)
        label = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(card.class_names), len(class_names)))
        raise UserError(
            f"{card.path}: field 'class_names' differs from {path} at label {label}; leave the field out or mend it"
        )
    _check_paths(path, [row[0] for name in SPLITS for row in table.rows(name)])
    listed = {name: tuple(row[0] for row in table.rows(name)) for name in SPLITS}
    keys = listed[split]
    require_files(card, folder / options.image_dir, keys)
    refuse_shared_files(card, folder / options.image_dir, listed, within=True)
    labels = tuple(row[1] for row in table.rows(split))
    images = partial(FileImages, folder / options.image_dir, keys, card.exif_rotation)
    return Listing(keys, labels, class_names, images, own)


def _find(card: Card, options: SplitJsonOptions, folder: Path, root: Path | None) -> tuple[Path, bool]:
    """The split file, and whether it is an own split rather than the published one."""
    path = (folder if card.built_in else card.path.parent) / options.split_file
    if os.path.isfile(path) or not card.built_in:
        return path, False
    own = own_split_path(card, root)
    if os.path.isfile(own):
        return own, True
    raise MissingDataError(
        f"dataset {card.name!r}: split file {path} does not exist; promptarena datasets prepare {card.name} says where "
        "to get it"
    )


def _check_digest(card: Card, options: SplitJsonOptions, path: Path, content: bytes) -> None:
    seen = hashlib.sha256(content).hexdigest()
    if options.split_sha256 not in (None, seen):
        raise UserError(
            f"dataset {card.name!r}: {path} has SHA-256 {seen}, expected {options.split_sha256}; restore the file"
        )


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


def _check_paths(path: Path, images: Sequence[str]) -> None:
    for image in images:
        if image.startswith("/") or ".." in image.split("/"):
            raise UserError(f"{path}: image {image!r} lies outside the image folder; paths must be relative to it")
    refuse_repeated_paths(path, images)


READER = Reader(name="split_json", read=read_split_json, place=3)
