"""Checks that a dataset is complete: the listing is compared with the card, and every image is decoded once."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data.cards import SPLITS, Card, SplitName
from promptarena.benchmark.data.class_names import repeated_note
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
    """The outcome for a dataset.

    `problems` are lines for the user; of bad images, the first of each split. `notes` are lines about what is as it
    should be and still worth knowing. `class_names` are those of the last split that could be listed.
    """

    dataset: str
    present: bool
    splits: tuple[SplitReport, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether the dataset is there and has no problems."""
        return self.present and not self.problems


def verify(
    card: Card, root: Path | None = None, progress: Callable[[int], None] | None = None, *, duplicates: bool = False
) -> Report:
    """List the splits of a dataset and decode (or render) every image.

    Args:
        card: The dataset.
        root: The folder of the public datasets; None takes it from the environment variable PROMPTARENA_DATA.
        progress: Called with the number of images decoded since the last call.
        duplicates: Also report images of one split that have the same pixels as an image of another.

    Returns:
        The outcome. Problems of the data are in it; they are not raised.
    """
    splits: list[SplitReport] = []
    problems: list[str] = []
    notes: dict[str, None] = {}
    names: tuple[str, ...] = ()
    seen = _Seen() if duplicates else None
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
        problems.extend(filter(None, (problem, _first_bad(split, listing, progress, seen))))
        names = listing.class_names
        if note := repeated_note(listing.class_names):
            notes[note] = None
    if seen is not None:
        problems.extend(seen.problems())
    return Report(card.name, True, tuple(splits), tuple(dict.fromkeys(problems)), tuple(notes), names)


class _Seen:
    """The pixels of the images seen so far, by their SHA-256."""

    def __init__(self) -> None:
        self._first: dict[bytes, tuple[SplitName, str]] = {}
        self._shared: dict[tuple[SplitName, SplitName], list[tuple[str, str]]] = {}

    def add(self, split: SplitName, key: str, pixels: bytes) -> None:
        """Add an image by the digest of its pixels."""
        other_split, other = self._first.setdefault(pixels, (split, key))
        if other_split != split:
            self._shared.setdefault((other_split, split), []).append((other, key))

    def problems(self) -> list[str]:
        """A line for each two splits that share images, with their number and the first."""
        return [
            f"{len(pairs)} of its {split} images {'has' if len(pairs) == 1 else 'have'} the same pixels as a {other} "
            f"image, {pairs[0][1]!r} those of {pairs[0][0]!r} first; leave them out of one split"
            for (other, split), pairs in self._shared.items()
        ]


def _digest(card: Card, split: SplitName, listing: Listing) -> tuple[str | None, str | None]:
    """The split's digest or, when the listing does not fit the card, the reason."""
    try:
        return checked_split(card, split, listing).digest, None
    except UserError as error:
        return None, str(error)


def _first_bad(
    split: SplitName, listing: Listing, progress: Callable[[int], None] | None, seen: _Seen | None
) -> str | None:
    """Decode all images; the problem of the first that cannot be decoded."""
    images = listing.open_images()

    def decoded(index: int) -> tuple[str | None, bytes]:
        try:
            image = images.pixels(index)
        except UserError as error:
            return str(error), b""
        return None, b"" if seen is None else hashlib.sha256(repr(image.size).encode() + image.tobytes()).digest()

    with ThreadPoolExecutor() as pool:
        for start in range(0, len(images), _CHUNK):
            chunk = range(start, min(start + _CHUNK, len(images)))
            for index, (bad, pixels) in zip(chunk, pool.map(decoded, chunk), strict=True):
                if bad:
                    return bad
                if seen is not None:
                    seen.add(split, listing.keys[index], pixels)
            if progress is not None:
                progress(len(chunk))
    return None
