"""The miniature's images are listed by keys that change with anything that decides their pixels."""

import copy

import numpy as np

from promptarena.benchmark.data.cards import Card, load_card
from promptarena.benchmark.data.miniature import render
from promptarena.benchmark.data.readers.registry import list_split


def changed(card: Card) -> Card:
    options = copy.deepcopy(card.options)
    options["knobs"] = {**options.get("knobs", {}), "brightness": 0.123}
    return card.model_copy(update={"options": options})


def test_keys_are_distinct_and_follow_the_cards_options() -> None:
    card = load_card("plants")
    keys = list_split(card, "test", None).keys
    assert len(set(keys)) == len(keys) == card.counts["test"]
    assert set(keys).isdisjoint(list_split(changed(card), "test", None).keys)


def test_listing_renders_nothing_and_pixels_are_the_renderers() -> None:
    card = load_card("plants")
    listing = list_split(card, "val", None)
    pixels, labels = render.render(card.options, card.name, "val")
    assert list(listing.labels) == labels.tolist()
    images = listing.open_images()
    assert (np.asarray(images.pixels(3)) == pixels[3]).all()
