"""A card for a folder of images of one's own: how the folder is laid out is seen, not asked."""

import json
import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from promptarena.benchmark.core.config_files import check
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data.cards import SPLITS, Card, SplitName
from promptarena.benchmark.data.splits import Split, find_split

SPELLINGS: Mapping[SplitName, tuple[str, ...]] = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
"""How the folders of splits are called, in lower case."""

TEMPLATE = "a photo of a {}."
_REMARKS = {"template": "  # the prompt; {} stands for the class name"}


@dataclass(frozen=True)
class NewCard:
    """A card that is not written yet.

    Attributes:
        path: Where it goes; its stem is the dataset's name.
        text: The file.
        card: What the file says.
        splits: The splits that exist, already listed and checked.
        notes: Lines for the user on what was seen.
    """

    path: Path
    text: str
    card: Card
    splits: tuple[Split, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Layout:
    """Where the class folders are: below `folder` itself, or below the folder of each split."""

    folder: Path
    splits: Mapping[SplitName, str]
    notes: tuple[str, ...] = ()


def new_card(images: Path, place: Path, name: str = "") -> NewCard:
    """Look at a folder of images and make a card for it.

    Args:
        images: A folder of class folders, or of the folders train, val and test with class folders in each.
        place: The folder that the card goes to.
        name: The dataset's name; empty: from the folder's name.

    Returns:
        The card. Nothing is written.

    Raises:
        UserError: The folder is missing, its layout is none of these, or an image in it cannot be used.
    """
    images = Path(os.path.abspath(images))
    if not images.is_dir():
        raise UserError(f"{images} is not a folder; name the folder of your images")
    layout = _layout(images)
    chosen = name or slug(images.name)
    path = Path(os.path.abspath(place)) / f"{chosen}.toml"
    options: dict[str, object] = {"folder": _reference(layout.folder, path.parent)}
    if not layout.splits:
        options["own_split"] = True
    elif any(folder != split for split, folder in layout.splits.items()):
        options["splits"] = dict(layout.splits)
    fields: dict[str, object] = {
        "name": chosen,
        "title": _title(images.name) or chosen,
        "reader": "folder",
        "template": TEMPLATE,
    }
    card = check(str(path), {**fields, "options": options}, Card).at(path)
    found = [find_split(card, split, None) for split in SPLITS]
    splits = tuple(split for split in found if split is not None)
    for needed in ("train", "test"):
        if needed not in [split.name for split in splits]:
            raise UserError(
                f"{layout.folder} has no {needed} images: add a folder {needed} with a folder per class; or leave out "
                "the folders of splits, and the images of each class are divided"
            )
    text = "".join(f"{key} = {toml_value(value)}{_REMARKS.get(key, '')}\n" for key, value in fields.items())
    text += "\n[options]\n" + "".join(f"{key} = {toml_value(value)}\n" for key, value in options.items())
    return NewCard(path, text, card, splits, layout.notes)


def slug(name: str) -> str:
    """A name that a card may have: small letters and digits, `-` or `_` in place of anything else.

    Args:
        name: Any name, such as that of a folder.

    Returns:
        The name without accents; "images" where no letter is left.

    >>> slug("Été à la mer (2024)")
    'ete-a-la-mer-2024'
    """
    plain = unicodedata.normalize("NFKD", name.casefold())
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return re.sub(r"[^a-z0-9_]+", "-", plain).strip("-_") or "images"


def _title(name: str) -> str:
    return " ".join(name.replace("_", " ").split())


def _layout(folder: Path) -> _Layout:
    """The layout of a folder, or of the only folder in it: archives often have one folder around everything."""
    while True:
        folders = _folders(folder)
        splits = _split_folders(folder, folders)
        if len(folders) != 1 or splits or not _folders(folder / folders[0]):
            break
        folder = folder / folders[0]
    if not folders:
        raise UserError(f"{folder} has no folders; sort the images into one folder per class")
    if not splits:
        if {name.lower() for name in folders} <= {name for names in SPELLINGS.values() for name in names}:
            raise UserError(f"{folder / folders[0]} has no class folders; sort its images into one folder per class")
        return _Layout(folder, {})
    notes = []
    if "test" not in splits and "val" in splits:
        splits["test"] = splits.pop("val")
        notes.append(f"There is no test folder: the images in {splits['test']} are the test images.")
    others = [name for name in folders if name not in splits.values()]
    if others:
        notes.append(f"Not used: {', '.join(others)}.")
    return _Layout(folder, splits, tuple(notes))


def _split_folders(folder: Path, folders: Sequence[str]) -> dict[SplitName, str]:
    """The folder of each split. A folder that has no folders in it is a class, whatever its name: of vehicles, `train`
    is one."""
    found: dict[SplitName, str] = {}
    for split in SPLITS:
        for name in folders:
            if name.lower() in SPELLINGS[split] and _folders(folder / name):
                if split in found:
                    raise UserError(f"{folder}: both {found[split]} and {name} may be the {split} images; rename one")
                found[split] = name
    return found


def _folders(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        raise UserError(f"cannot read {folder}: {error.strerror}") from error


def _reference(folder: Path, place: Path) -> str:
    """How a card in `place` refers to a folder: by a relative path where it lies below, so that both can be moved."""
    return folder.relative_to(place).as_posix() if folder.is_relative_to(place) else folder.as_posix()


def toml_value(value: object) -> str:
    """A value as TOML writes it.

    Args:
        value: A text, a truth value, or a mapping of such.

    Returns:
        The value in one line.
    """
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {toml_value(each)}" for key, each in value.items()) + " }"
    # Texts are written as in JSON, but TOML does not allow U+007F as it is.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
