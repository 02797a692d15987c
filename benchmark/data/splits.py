"""A split of a dataset as a value: its images, labels and classes, and a digest of these."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.keys import digest
from promptarena.benchmark.data.cards import Card, SplitName
from promptarena.benchmark.data.class_names import check_class_names
from promptarena.benchmark.data.images import ImageStore
from promptarena.benchmark.data.readers.listing import Listing
from promptarena.benchmark.data.readers.registry import list_split


@dataclass(frozen=True, eq=False)
class Split:
    """The N images of one split in their listed order, on which the few-shot split depends.

    `keys` (N,): the identity of each image, the same on every machine. `labels` (N,) int64 in 0..C-1, read-only.
    `class_names` (C,) by label. `digest`: SHA-256 of all three, not of the images' bytes. `own_split`: promptarena
    divided the images into train, val and test, not the dataset's authors.
    """

    dataset: str
    name: SplitName
    keys: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    class_names: tuple[str, ...]
    digest: str
    open_images: Callable[[], ImageStore] = field(repr=False)
    own_split: bool = False

    def __len__(self) -> int:
        return len(self.keys)

    @cached_property
    def images(self) -> ImageStore:
        """The images by position, opened at first use and then shared."""
        return self.open_images()


def load_split(card: Card, split: SplitName, root: Path | None = None) -> Split:
    """List a split without decoding images, and check it against the card's counts.

    Args:
        card: The dataset.
        split: "train", "val" or "test".
        root: The folder of the public datasets; None takes it from the environment variable PROMPTARENA_DATA.

    Returns:
        The split.

    Raises:
        UserError: The split does not exist, files are missing, their number differs from the card's, class names are
            blank or the same, or a class has no image in a train or test split.
    """
    found = find_split(card, split, root)
    if found is None:
        counted = f"; {card.path} counts {', '.join(card.counts)}" if card.counts else ""
        raise UserError(f"dataset {card.name!r} has no {split} images{counted}")
    return found


def find_split(card: Card, split: SplitName, root: Path | None = None) -> Split | None:
    """As `load_split`, but None when the dataset does not have the split: validation images are optional."""
    if not card.has_split(split):
        return None
    listing = list_split(card, split, root)
    if not listing.keys and not card.counts:
        return None
    return checked_split(card, split, listing)


def checked_split(card: Card, split: SplitName, listing: Listing) -> Split:
    """A reader's listing as a Split, or a UserError when it does not fit the card (see `load_split`)."""
    _check(card, split, listing)
    labels = np.array(listing.labels, dtype=np.int64)
    labels.setflags(write=False)
    return Split(
        dataset=card.name,
        name=split,
        keys=listing.keys,
        labels=labels,
        class_names=listing.class_names,
        digest=digest(listing.keys, listing.labels, listing.class_names),
        open_images=listing.open_images,
        own_split=listing.own_split,
    )


def _check(card: Card, split: SplitName, listing: Listing) -> None:
    expected = card.counts.get(split, len(listing.keys))
    if len(listing.keys) != expected:
        raise UserError(
            f"dataset {card.name!r}: found {len(listing.keys)} {split} images, but {card.path} counts {expected}; "
            "complete the files or correct [counts]"
        )
    if not listing.keys:
        raise UserError(f"dataset {card.name!r} has no {split} images")
    if len(listing.class_names) < 2:
        raise UserError(f"dataset {card.name!r} has {len(listing.class_names)} class; at least two are needed")
    try:
        check_class_names(listing.class_names)
    except ValueError as error:
        raise UserError(f"dataset {card.name!r}: {error}") from error
    empty = sorted(set(range(len(listing.class_names))) - set(listing.labels))
    if empty and split != "val":
        raise UserError(f"dataset {card.name!r}: class {listing.class_names[empty[0]]!r} has no {split} images")
