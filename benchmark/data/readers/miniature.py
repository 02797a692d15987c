"""The embedded miniature: images that are rendered from a card."""

from functools import partial
from pathlib import Path

from promptarena.benchmark.core.keys import digest
from promptarena.benchmark.data.cards import Card, SplitName
from promptarena.benchmark.data.images import PixelArray, RenderedImages
from promptarena.benchmark.data.readers.listing import Listing, Reader


def read_miniature(card: Card, split: SplitName, root: Path | None) -> Listing:
    """The images of a miniature dataset's split; the key of each contains a digest of what decides its pixels."""
    from promptarena.benchmark.data.miniature.options import RENDER_VERSION, labels_of
    from promptarena.benchmark.data.miniature.pack import pack_digest

    pixels_decided_by = digest(pack_digest(), RENDER_VERSION, card.name, card.options)[:12]
    labels = labels_of(card.options, card.name, split)
    return Listing(
        keys=tuple(f"{card.name}/{split}/{index}@{pixels_decided_by}" for index in range(len(labels))),
        labels=tuple(labels.tolist()),
        class_names=card.class_names,
        open_images=partial(RenderedImages, partial(_render, card, split), len(labels)),
    )


def _render(card: Card, split: SplitName) -> PixelArray:
    from promptarena.benchmark.data.miniature.render import render

    return render(card.options, card.name, split)[0]


READER = Reader(name="miniature", read=read_miniature, place=1)
