"""Checks that a dataset is complete: the listing is compared with the card, and every image is decoded once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data.cards import SPLITS, Card, SplitName
from promptarena.benchmark.data.images import ImageStore
from promptarena.benchmark.data.readers.listing import Listing, MissingDataError
from promptarena.benchmark.data.readers.registry import list_split
from promptarena.benchmark.data.splits import checked_split

_CHUNK = 2048


@dataclass(frozen=True)
class SplitReport:
    """One split: images found, images the card expects (None: not stated), the split's digest (None: not loadable)."""

    split: SplitName
    found: int
    expected: int | None
    digest: str | None


@dataclass(frozen=True)
class Report:
    """The outcome for a dataset. `problems` are lines for the user; of bad images, the first of each split."""

    dataset: str
    present: bool
    splits: tuple[SplitReport, ...]
    problems: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether the dataset is there and has no problems."""
        return self.present and not self.problems


def verify(card: Card, root: Path | None = None, progress: Callable[[int], None] | None = None) -> Report:
    """List the splits of a dataset and decode (or render) every image.

    Args:
        card: The dataset.
        root: The folder of the public datasets; None takes it from the environment variable PROMPTARENA_DATA.
        progress: Called with the number of images decoded since the last call.

    Returns:
        The outcome. Problems of the data are in it; they are not raised.
    """
    splits: list[SplitReport] = []
    problems: list[str] = []
    for split in filter(card.has_split, SPLITS):
        try:
            listing = list_split(card, split, root)
        except MissingDataError as error:
            return Report(card.name, False, (), (str(error),))
        except UserError as error:
            return Report(card.name, True, tuple(splits), (*problems, str(error)))
        if not listing.keys and not card.counts and split == "val":
            continue
        digest, problem = _digest(card, split, listing)
        splits.append(SplitReport(split, len(listing.keys), card.counts.get(split), digest))
        problems.extend(filter(None, (problem, _first_bad(listing.open_images(), progress))))
    return Report(card.name, True, tuple(splits), tuple(problems))


def _digest(card: Card, split: SplitName, listing: Listing) -> tuple[str | None, str | None]:
    """The split's digest or, when the listing does not fit the card, the reason."""
    try:
        return checked_split(card, split, listing).digest, None
    except UserError as error:
        return None, str(error)


def _first_bad(images: ImageStore, progress: Callable[[int], None] | None) -> str | None:
    def problem(index: int) -> str | None:
        try:
            images.pixels(index)
        except UserError as error:
            return str(error)
        return None

    with ThreadPoolExecutor() as pool:
        for start in range(0, len(images), _CHUNK):
            chunk = range(start, min(start + _CHUNK, len(images)))
            if bad := next(filter(None, pool.map(problem, chunk)), None):
                return bad
            if progress is not None:
                progress(len(chunk))
    return None
