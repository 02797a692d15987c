"""Splits made from a dataset's own annotation files, for want of the published split file.

The CoOp project divided the pictures once, with one random stream over the order in which they were listed. Where that
order is the authors' (OxfordPets, StanfordCars, Flowers102, SUN397, UCF101), the published file is rebuilt byte for
byte. Where it was a disk's (Caltech101, DTD, EuroSAT, Food101), only a split of our own can be made.
"""

import hashlib
import json
import random
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.files import write_whole
from promptarena.benchmark.data.cards import SPLITS, Card, SplitName
from promptarena.benchmark.data.prepare.annotations import Row, read_annotations
from promptarena.benchmark.data.readers.split_json import SplitFile

SEED = 1
"""Seed of the random stream that divides a dataset."""

TRAIN, VAL = 0.5, 0.2
"""Parts of a class that the authors do not divide; the rest is test. VAL is also the part taken from their train."""


def rebuild_split(card: Card, folder: Path) -> bytes | None:
    """The published split file, made anew from the annotation files in the dataset's `folder`.

    None when that does not give a file of the card's SHA-256. Raises UserError as `read_annotations`.
    """
    content = _json(divide(read_annotations(card, folder)))
    return content if hashlib.sha256(content).hexdigest() == card.options.get("split_sha256") else None


def write_own_split(card: Card, folder: Path, out: Path) -> None:
    """Divides the dataset in `folder` here and writes `out` in the published format, whole or not at all.

    Raises UserError as `read_annotations`, when pictures are missing (the card's counts hold for an own split too) and
    when `out` cannot be written.
    """
    split = own_split(read_annotations(card, folder))
    for name in SPLITS:
        found, expected = len(split.rows(name)), card.counts.get(name)
        if expected not in (None, found):
            raise UserError(
                f"dataset {card.name!r}: an own split of {folder} has {found} {name} images, but {card.path} counts "
                f"{expected}; complete the files"
            )
    write_whole(out, _json(split))


def own_split(rows: Iterable[Row]) -> SplitFile:
    """The rows divided in the order of their labels and paths, whatever order they come in."""
    return divide(sorted(rows, key=lambda row: (row.label, row.path)))


def divide(rows: Iterable[Row]) -> SplitFile:
    """The rows of each class, classes in the order of their first row, shuffled and cut by one random stream.

    An official test part stays as it is, and 20 % of the official train part become val. A class without official parts
    gives 50 % train, 20 % val, 30 % test. Numbers are rounded to the nearest integer, halves to the even one.
    """
    stream = random.Random(SEED)
    parts: dict[SplitName, list[Row]] = {name: [] for name in SPLITS}
    classes: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        (parts["test"] if row.part == "test" else classes[row.label]).append(row)
    for members in classes.values():
        stream.shuffle(members)
        train, val = round(TRAIN * len(members)), round(VAL * len(members))
        if members[0].part is None:
            parts["train"] += members[:train]
            parts["val"] += members[train : train + val]
            parts["test"] += members[train + val :]
        else:
            parts["val"] += members[:val]
            parts["train"] += members[val:]
    return SplitFile(**{name: tuple(row[:3] for row in members) for name, members in parts.items()})


def _json(split: SplitFile) -> bytes:
    return json.dumps(split.model_dump(), indent=4).encode()
