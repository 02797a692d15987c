"""What lies in folders of classes: all of it is an image of a class, known to be none, or refused."""

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.files import is_missing
from promptarena.benchmark.data.cards import Card
from promptarena.benchmark.data.images import EXTENSIONS

OTHER_EXTENSIONS = frozenset(
    {".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".jpe", ".jfif", ".heic", ".heif", ".avif"}
)
"""File name endings, in lower case, of images that are not read from a folder."""

Kind = Literal["file", "folder", "link", "other"]


class LeftOut(NamedTuple):
    """What would be left out of a split: its path relative to the images' folder, and why."""

    path: str
    reason: str


def is_folder(card: Card, path: Path) -> bool:
    """Whether a folder is there.

    Args:
        card: The dataset.
        path: The folder's path; links are followed.

    Returns:
        False when nothing has that name.

    Raises:
        UserError: Something else has that name: a file, or a link that leads nowhere.
    """
    if not os.path.lexists(path) and is_missing(path):
        return False
    if not path.is_dir():
        raise UserError(f"dataset {card.name!r}: {path} is no folder and leads to none; mend or remove it")
    return True


def class_folders(card: Card, folder: Path) -> list[str]:
    """The class folders in a folder.

    Args:
        card: The dataset.
        folder: The folder of a split, or of the whole dataset.

    Returns:
        Their names, sorted.

    Raises:
        UserError: The folder cannot be read, or holds images beside the class folders or links that lead nowhere.
    """
    found, left_out = [], list[LeftOut]()
    for entry in _visible(folder):
        kind = _kind(entry)
        if kind == "folder":
            found.append(entry.name)
        elif kind == "link":
            left_out.append(LeftOut(entry.name, "is a link that leads nowhere"))
        elif _ending(entry.name) in EXTENSIONS | OTHER_EXTENSIONS:
            left_out.append(LeftOut(entry.name, "lies beside the class folders"))
    _refuse(card, folder, left_out)
    return sorted(found)


def class_images(card: Card, folder: Path, classes: Sequence[str]) -> list[list[str]]:
    """The images of each class.

    Args:
        card: The dataset.
        folder: The images' folder.
        classes: The folder of each class, relative to it.

    Returns:
        For each class the paths of its images relative to `folder`, sorted; none for a class without a folder.

    Raises:
        UserError: An image would be left out: a link that leads nowhere, something that is no file, an image in a
            folder below a class folder or of a kind that is not read. The first is named.
    """
    images: list[list[str]] = []
    left_out: list[LeftOut] = []
    for inside in classes:
        names = []
        for entry in _visible(folder / inside) if is_folder(card, folder / inside) else ():
            kind, ending, path = _kind(entry), _ending(entry.name), f"{inside}/{entry.name}"
            if kind == "file" and ending in EXTENSIONS:
                names.append(path)
            elif kind == "file" and ending in OTHER_EXTENSIONS:
                left_out.append(LeftOut(path, f"is an image of a kind that is not read ({ending})"))
            elif kind == "link":
                left_out.append(LeftOut(path, "is a link that leads nowhere"))
            elif kind == "folder":
                left_out.extend(_below(entry, path))
            elif kind == "other" and ending in EXTENSIONS:
                left_out.append(LeftOut(path, "is not a file"))
        images.append(sorted(names))
    _refuse(card, folder, left_out)
    return images


def _refuse(card: Card, folder: Path, left_out: Sequence[LeftOut]) -> None:
    if not left_out:
        return
    first = min(left_out)
    many = "1 image" if len(left_out) == 1 else f"{len(left_out)} images"
    raise UserError(
        f"dataset {card.name!r}: {many} in {folder} would be left out, {first.path!r} first, which {first.reason}; "
        "put each image into its class folder as a .jpg, .jpeg, .png, .webp or .bmp file, or remove it"
    )


def _below(entry: "os.DirEntry[str]", path: str) -> Iterator[LeftOut]:
    """The images in a folder below a class folder, or the folder itself when it is called like an image."""
    if _ending(entry.name) in EXTENSIONS:
        yield LeftOut(path, "is a folder")
    seen = set[str]()
    waiting = [(Path(entry.path), path)]
    while waiting:
        folder, inside = waiting.pop()
        if os.path.realpath(folder) in seen:  # links may lead in a circle
            continue
        seen.add(os.path.realpath(folder))
        for inner in _visible(folder):
            kind, inner_path = _kind(inner), f"{inside}/{inner.name}"
            if kind == "folder":
                waiting.append((Path(inner.path), inner_path))
            elif kind == "link":
                yield LeftOut(inner_path, "is a link that leads nowhere")
            elif _ending(inner.name) in EXTENSIONS | OTHER_EXTENSIONS:
                yield LeftOut(inner_path, "lies in a folder below its class folder")


def _ending(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _kind(entry: "os.DirEntry[str]") -> Kind:
    """What an entry leads to; "link" for a link that leads nowhere. Only links cost a look at the disk."""
    if not entry.is_symlink():
        return "file" if entry.is_file() else "folder" if entry.is_dir() else "other"
    try:
        mode = entry.stat().st_mode
    except OSError:
        return "link"
    return "file" if stat.S_ISREG(mode) else "folder" if stat.S_ISDIR(mode) else "other"


def _visible(folder: Path) -> Iterable["os.DirEntry[str]"]:
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
