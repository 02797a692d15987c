"""From cards and a seed to the labelled images that a learner is trained and scored on."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import numpy as np
from PIL import Image

from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.keys import digest, generator
from promptarena.benchmark.core.runs import Subset
from promptarena.benchmark.core.subsets import subset_labels
from promptarena.benchmark.data.cards import Card, SplitName
from promptarena.benchmark.data.few_shot import Draw, draw_few_shot, restrict
from promptarena.benchmark.data.splits import Split, find_split, load_split


class DatasetImages:
    """The images of some rows of a split, in order: an `ImageList`."""

    def __init__(self, card: Card, split: Split, rows: np.ndarray) -> None:
        self._card = card
        self._split = split
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def part(self, rows: np.ndarray) -> "DatasetImages":
        """The images of these rows of this list, in their order."""
        return DatasetImages(self._card, self._split, self._rows[rows])

    def key(self, index: int) -> str:
        """The identity of image `index` among all datasets."""
        return f"{self._split.dataset}/{self._split.keys[self._rows[index]]}"

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what says which images they are."""
        return digest(self._card.digest, self._split.name, self._split.digest, self._rows.tolist())

    @cached_property
    def stamp(self) -> str:
        """SHA-256 of the images' stamps, e.g. the sizes and modification times of their files."""
        return digest([self._split.images.stamp(int(row)) for row in self._rows])

    def image(self, index: int) -> Image.Image:
        """Image `index` as RGB. Raises UserError when its file cannot be decoded."""
        return self._split.images.pixels(int(self._rows[index]))


@dataclass(frozen=True)
class Examples:
    """N labelled images; labels: (N,) int64 in 0 .. C - 1 of the subset."""

    images: DatasetImages
    labels: np.ndarray


class Data:
    """The splits of a suite's datasets; each is listed at first use.

    Args:
        root: The folder of the public datasets; None: from the environment.
        limit: The most test images of a dataset, at least 2; None: all.
    """

    def __init__(self, root: Path | None, limit: int | None = None) -> None:
        self._root = root
        self._limit = limit
        self._splits: dict[tuple[str, SplitName], Split | None] = {}
        self._drawn: dict[tuple[str, int, int], Draw] = {}

    @property
    def listed(self) -> Mapping[tuple[str, SplitName], Split | None]:
        """What was listed up to now, by dataset and split; None for a split that the dataset does not have."""
        return MappingProxyType(self._splits)

    def split(self, card: Card, name: SplitName) -> Split:
        """A split, listed but not decoded. Raises UserError when it is missing or not as its card says."""
        return self.find(card, name) or load_split(card, name, self._root)

    def find(self, card: Card, name: SplitName) -> Split | None:
        """As `split`, but None for a split that the dataset does not have."""
        if (card.name, name) not in self._splits:
            self._splits[card.name, name] = find_split(card, name, self._root)
        return self._splits[card.name, name]

    def few_shot(self, card: Card, subset: Subset, shots: int, seed: int) -> tuple[Examples, Examples]:
        """The few-shot split of a subset of classes.

        It is drawn over all classes and then restricted to the subset, so that it does not depend on the protocol.

        Args:
            card: The dataset.
            subset: The classes to keep.
            shots: Training images per class.
            seed: The seed of the draw.

        Returns:
            Training and validation images; the latter are empty when the dataset has no validation split.

        Raises:
            UserError: The data is missing or does not fit the card.
        """
        train = self.split(card, "train")
        val = self.find(card, "val")
        place = card.name, shots, seed
        if place not in self._drawn:  # a plan asks several times for each of its runs
            self._drawn[place] = draw_few_shot(train.labels, () if val is None else val.labels, shots, seed)
        drawn = self._drawn[place]
        return _drawn(card, train, drawn.train, subset), _drawn(card, val or train, drawn.val, subset)

    def test(self, card: Card) -> Examples:
        """The test images with their labels among all classes; under a limit, evenly spread over the classes."""
        split = self.split(card, "test")
        rows = np.arange(len(split))
        if self._limit is not None and self._limit < len(split):
            by_class = np.argsort(split.labels, kind="stable")
            # The first and the last image are among them, so each half of the classes has one.
            rows = np.sort(by_class[np.arange(self._limit) * (len(split) - 1) // (self._limit - 1)])
        return Examples(DatasetImages(card, split, rows), split.labels[rows])

    def others(self, card: Card, count: int, names: Collection[str]) -> DatasetImages:
        """Some test images of a dataset that show none of the named classes.

        Args:
            card: The dataset.
            count: The most images.
            names: The names of classes, compared without regard to case; images of a class with such a name are left
                out.

        Returns:
            A sample without replacement that depends on nothing but the dataset, `count` and `names`.

        Raises:
            UserError: The data is missing or does not fit the card.
        """
        test, split = self.test(card), self.split(card, "test")
        known = {name.casefold() for name in names}
        foreign = np.array([name.casefold() not in known for name in split.class_names], dtype=bool)
        rows = np.flatnonzero(foreign[test.labels])
        chosen = generator("far", card.name).permutation(len(rows))[:count]
        return test.images.part(np.sort(rows[chosen]))

    def classes(self, card: Card, subset: Subset, name: SplitName) -> Classes:
        """The class names of `subset` in label order, with the dataset's template."""
        names = self.split(card, name).class_names
        kept = subset_labels(subset, len(names))
        return Classes(names[kept.start : kept.stop], card.template, card.name)


def _drawn(card: Card, split: Split, rows: np.ndarray, subset: Subset) -> Examples:
    kept = restrict(split.labels[rows], subset, len(split.class_names))
    return Examples(DatasetImages(card, split, rows[kept.rows]), kept.labels)
