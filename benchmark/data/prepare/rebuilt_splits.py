"""Splits made from a dataset's own annotation files when the published split file is missing.

The CoOp project divided the images once, with one random stream over the order in which they were listed. Where that
order is the authors' (OxfordPets, StanfordCars, Flowers102, SUN397, UCF101), the published file is rebuilt byte for
byte. Where it was the order on a disk (Caltech101, DTD, EuroSAT, Food101), only an own split can be made.
"""

import hashlib
import json
import random
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.files import write_atomically
from promptarena.benchmark.data.cards import SPLITS, Card, SplitName
from promptarena.benchmark.data.prepare.annotations import Row, read_annotations
from promptarena.benchmark.data.readers.split_json import SplitFile

SEED = 1
"""Seed of the random stream that divides a dataset."""

TRAIN, VAL = 0.5, 0.2
"""Shares of a class that the authors do not divide; the rest is test. VAL is also the share taken from their train."""


def rebuild_split(card: Card, folder: Path) -> bytes | None:
    """Rebuild the published split file from the dataset's annotation files.

    Args:
        card: The dataset.
        folder: The dataset in its usual layout.

    Returns:
        The bytes of the file; None when they do not have the card's SHA-256.

    Raises:
        UserError: As `read_annotations`.
    """
    content = _json(divide(read_annotations(card, folder)))
    return content if hashlib.sha256(content).hexdigest() == card.options.get("split_sha256") else None


def write_own_split(card: Card, folder: Path, out: Path) -> None:
    """Divide a dataset and write the split in the published format, completely or not at all.

    Args:
        card: The dataset; its counts hold for an own split too.
        folder: The dataset in its usual layout.
        out: The file to write.

    Raises:
        UserError: As `read_annotations`; also when images are missing or `out` cannot be written.
    """
    split = own_split(read_annotations(card, folder))
    for name in SPLITS:
        found, expected = len(split.rows(name)), card.counts.get(name)
        if expected not in (None, found):
            raise UserError(
                f"dataset {card.name!r}: an own split of {folder} has {found} {name} images, but {card.path} counts "
                f"{expected}; complete the files"
            )
    write_atomically(out, _json(split))


def own_split(rows: Iterable[Row]) -> SplitFile:
    """Divide rows after sorting them by label and path, so that their order does not matter."""
    return divide(sorted(rows, key=lambda row: (row.label, row.path)))


def divide(rows: Iterable[Row]) -> SplitFile:
    """Divide rows: each class, in the order of its first row, is shuffled by one common random stream and cut.

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
