"""Finds what is no file, and one image under two paths, in the lists of a dataset."""

import os
import posixpath
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data.cards import Card, SplitName

Identity = tuple[int, int]
"""Device and inode: equal for all links to one file."""


def identities(folder: Path, keys: Iterable[str]) -> dict[str, Identity | None]:
    """What file each key leads to; each sub-folder is listed once and only links are looked at one by one.

    Args:
        folder: The images' folder.
        keys: Paths relative to it, with `/` between parts.

    Returns:
        By key the file's identity; None when no regular file is there.
    """
    listed: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        parent, _, name = key.rpartition("/")
        listed[parent].append(name)
    found: dict[str, Identity | None] = {}
    for parent, names in listed.items():
        there = _files(folder / parent)
        found |= {f"{parent}/{name}" if parent else name: there.get(name) for name in names}
    return found


def require_files(card: Card, folder: Path, keys: Sequence[str]) -> None:
    """Check that keys are files.

    Args:
        card: The dataset.
        folder: The images' folder.
        keys: Paths relative to it, with `/` between parts.

    Raises:
        UserError: Some are not there or are no files; the first is named.
    """
    found = identities(folder, keys)
    missing = [key for key in keys if found[key] is None]
    if missing:
        raise UserError(
            f"dataset {card.name!r}: {len(missing)} of {len(keys)} images are not in {folder}, {missing[0]!r} first; "
            "complete the files"
        )


def refuse_repeated_paths(where: Path, keys: Iterable[str]) -> None:
    """Check that lists name each path once, however it is spelled (`a/1.png`, `./a/1.png`, `a//1.png`).

    Args:
        where: The file of the list.
        keys: The paths of all splits.

    Raises:
        UserError: A path is listed twice.
    """
    first: dict[str, str] = {}
    times: dict[str, int] = defaultdict(int)
    for key in keys:
        times[posixpath.normpath(key)] += 1
        same = first.setdefault(posixpath.normpath(key), key)
        if same != key:
            raise UserError(f"{where}: images {same!r} and {key!r} are the same file; an image belongs to one split")
    for path, count in times.items():
        if count > 1:
            raise UserError(f"{where}: image {first[path]!r} is listed {count} times; an image belongs to one split")


def refuse_shared_files(card: Card, folder: Path, listed: Mapping[SplitName, Sequence[str]], *, within: bool) -> None:
    """Check that no file is an image of two splits by way of links.

    The lists of built-in cards are the published ones and not checked: images that their authors repeated may be links
    on a disk that stores equal files once.

    Args:
        card: The dataset.
        folder: The images' folder.
        listed: The keys of each split.
        within: Whether a split may not name a file twice either.

    Raises:
        UserError: A file is listed twice; the first is named.
    """
    if card.built_in:
        return
    first: dict[Identity, tuple[str, str]] = {}
    shared: list[str] = []
    for split, keys in listed.items():
        for key, identity in identities(folder, keys).items():
            if identity is None:
                continue
            other_split, other = first.setdefault(identity, (split, key))
            if other != key and (within or other_split != split):
                shared.append(f"{other!r} ({other_split}) and {key!r} ({split})")
    if shared:
        more = f", and {len(shared) - 1} more" if len(shared) > 1 else ""
        raise UserError(
            f"dataset {card.name!r}: {shared[0]} are links to the same file{more}; an image belongs to one split"
        )


def _files(folder: Path) -> dict[str, Identity]:
    """The regular files of a folder by name; links are followed."""
    found: dict[str, Identity] = {}
    try:
        device = folder.stat().st_dev
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_symlink():
                    if (identity := _linked(entry)) is not None:
                        found[entry.name] = identity
                elif entry.is_file():
                    found[entry.name] = (device, entry.inode())
    except (OSError, ValueError):
        return {}
    return found


def _linked(entry: "os.DirEntry[str]") -> Identity | None:
    try:
        status = entry.stat()
        return (status.st_dev, status.st_ino) if entry.is_file() else None
    except OSError:
        return None
