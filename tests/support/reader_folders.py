"""Cards and folders for readers."""

from pathlib import Path

from promptarena.benchmark.data.cards import Card, load_card
from promptarena.benchmark.data.readers.listing import Listing

CARD = """
name = "birds"
title = "Birds"
reader = "{reader}"
template = "a photo of a {{}}."
{names}
licence = "CC0-1.0"
citation = "none"
description = "none"
[options]
{options}
"""


def write_card(folder: Path, reader: str = "folder", options: str = 'folder = "pictures"', names: str = "") -> Card:
    path = folder / "birds.toml"
    path.write_text(CARD.format(reader=reader, options=options, names=names), encoding="utf-8")
    return load_card(path)


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def rows(listing: Listing) -> list[tuple[str, int]]:
    return list(zip(listing.keys, listing.labels, strict=True))
