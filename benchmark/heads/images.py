"""The images that heads are diagnosed on: a balanced mix of training splits, one dataset, or a folder."""

import os
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path

import numpy as np
from PIL import Image

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.files import expanded
from promptarena.benchmark.core.keys import digest, file_digest
from promptarena.benchmark.data.cards import Card, load_card, names_a_file
from promptarena.benchmark.data.data_manager import Data, DatasetImages
from promptarena.benchmark.data.images import EXTENSIONS, decode
from promptarena.benchmark.inputs.views import ImageList
from promptarena.benchmark.planning.suites import Suite


@dataclass(frozen=True)
class Source:
    """Images with their name in a role table."""

    name: str
    images: ImageList


class Together:
    """Several image lists, concatenated."""

    def __init__(self, lists: Sequence[ImageList]) -> None:
        self._lists = lists
        self._ends = list(accumulate(map(len, lists)))
        self.digest = digest([images.digest for images in lists])

    def __len__(self) -> int:
        return self._ends[-1]

    def key(self, index: int) -> str:
        """The image's key in its own list."""
        images, row = self._find(index)
        return images.key(row)

    @cached_property
    def stamp(self) -> str:
        """SHA-256 over the lists' stamps."""
        return digest([images.stamp for images in self._lists])

    def image(self, index: int) -> Image.Image:
        """The image as RGB. Raises UserError when it cannot be decoded."""
        images, row = self._find(index)
        return images.image(row)

    def _find(self, index: int) -> tuple[ImageList, int]:
        place = bisect_right(self._ends, index)
        return self._lists[place], index - (self._ends[place - 1] if place else 0)


class Folder:
    """Image files below a folder, sorted by path; at most `largest`, evenly spaced among all.

    Raises UserError when there are none or one cannot be read. The digest is of their paths and bytes.
    """

    def __init__(self, folder: Path, largest: int) -> None:
        self._folder = folder
        found = sorted(
            (Path(place) / name).relative_to(folder).as_posix()
            for place, _, names in os.walk(folder)
            for name in names
            if os.path.splitext(name)[1].lower() in EXTENSIONS and not name.startswith(".")
        )
        if not found:
            raise UserError(f"folder {folder} holds no images ({', '.join(sorted(EXTENSIONS))})")
        self._keys = [found[row] for row in spaced(len(found), largest)]
        self.digest = digest([[key, file_digest(folder / key)] for key in self._keys])
        self.stamp = ""

    def __len__(self) -> int:
        return len(self._keys)

    def key(self, index: int) -> str:
        """The file's path below the folder."""
        return self._keys[index]

    def image(self, index: int) -> Image.Image:
        """The image as RGB. Raises UserError when it cannot be decoded."""
        return decode(self._folder / self._keys[index])


def find_images(name: str | None, suite: Suite, root: Path | None, largest: int) -> Source:
    """At most `largest` images: of a folder, of a dataset's training split, or, for None, of all those of the suite.

    name: a dataset of the suite or a built-in one, the path of a card, or a folder. Raises UserError for anything else.
    """
    data = Data(root)
    if name is None:
        trained = dict.fromkeys(filter(None, (*suite.datasets, suite.source)))
        return Source(f"training splits of {suite.name}", mixed([*map(suite.card, trained)], data, largest))
    if name in suite.dataset_names:
        return Source(name, mixed([suite.card(name)], data, largest))
    folder = expanded(name)
    if os.path.isdir(folder):
        return Source(folder.resolve().name, Folder(folder, largest))
    try:
        card = load_card(name)
    except UserError as error:
        if names_a_file(name):
            raise
        raise UserError(f"--images {name}: {error}; or give a folder of images") from error
    return Source(card.name, mixed([card], data, largest))


def mixed(cards: Sequence[Card], data: Data, largest: int) -> ImageList:
    """At most `largest` training images, as evenly as possible from the datasets and from the classes of each."""
    splits = [data.split(card, "train") for card in cards]
    counts = shared_out([len(split) for split in splits], largest)
    return Together(
        [
            DatasetImages(card, split, balanced(split.labels, count))
            for card, split, count in zip(cards, splits, counts, strict=True)
            if count
        ]
    )


def shared_out(sizes: Sequence[int], total: int) -> list[int]:
    """Divide `total` among groups of these sizes: all get the same share, but none more than its size."""
    given = [0] * len(sizes)
    left = min(total, sum(sizes))
    for rank, place in enumerate(sorted(range(len(sizes)), key=lambda place: (sizes[place], place))):
        given[place] = min(sizes[place], left // (len(sizes) - rank))
        left -= given[place]
    return given


def balanced(labels: np.ndarray, count: int) -> np.ndarray:
    """`count` rows of labels (N,), rising: the first of every class, then the second of every class, and so on."""
    turn = np.zeros(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        turn[members] = np.arange(len(members))
    return np.sort(np.lexsort((labels, turn))[:count])


def spaced(length: int, count: int) -> list[int]:
    """At most `count` rows of `length`, evenly spaced, the first among them."""
    count = min(count, length)
    return [row * length // count for row in range(count)]
