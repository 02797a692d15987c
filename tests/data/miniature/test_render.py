"""Rendering: the pictures that a card promises, the same ones every time."""

import numpy as np
import pytest
import torch
from miniature_options import options_of

from promptarena.benchmark.data.cards import load_card
from promptarena.benchmark.data.miniature import render as reader
from promptarena.benchmark.data.miniature.options import labels_of

EACH_KIND = ("plants", "textures", "digits", "things-adversarial")


@pytest.mark.parametrize("name", EACH_KIND)
def test_pictures_are_as_promised(name):
    card = load_card(name)
    pixels, labels = reader.render(card.options, name, "test")
    assert pixels.shape == (card.counts["test"], 48, 48, 3)
    assert pixels.dtype == np.uint8
    assert labels.dtype == np.int64
    assert (labels == labels_of(card.options, name, "test")).all()
    assert (pixels.reshape(len(pixels), -1).std(axis=1) > 3).all(), "an almost empty picture"


@pytest.mark.parametrize("name", EACH_KIND)
def test_rendering_is_a_pure_function_whatever_ran_before_and_on_however_many_threads(name):
    options = load_card(name).options
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        first, _ = reader.render(options, name, "test")
        np.random.default_rng(0).random(10)
        torch.rand(3)
        torch.set_num_threads(2)
        second, _ = reader.render(options, name, "test")
    finally:
        torch.set_num_threads(threads)
    assert (first == second).all()


@pytest.mark.parametrize("name", ["plants", "textures", "digits"])
def test_no_picture_is_in_two_splits(name):
    options = load_card(name).options
    seen = [{picture.tobytes() for picture in reader.render(options, name, split)[0]} for split in reader._SPECIMENS]
    assert sum(map(len, seen)) == len(set.union(*seen)) == sum(load_card(name).counts.values())


def test_the_name_of_a_dataset_changes_its_pictures():
    options = options_of("plants")
    assert (reader.render(options, "plants", "val")[0] != reader.render(options, "other", "val")[0]).any()
