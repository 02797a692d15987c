import copy

import numpy as np
import pytest
import torch

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data.cards import load_card
from promptarena.benchmark.data.miniature import digits, textures
from promptarena.benchmark.data.miniature import render as reader

EACH_KIND = ("plants", "textures", "digits", "things-adversarial")


def options_of(name, **changes):
    options = copy.deepcopy(load_card(name).options)
    options.update(changes)
    return options


@pytest.mark.parametrize("name", EACH_KIND)
def test_pictures_are_as_promised(name):
    card = load_card(name)
    pixels, labels = reader.render(card.options, name, "test")
    assert pixels.shape == (card.counts["test"], 48, 48, 3)
    assert pixels.dtype == np.uint8
    assert labels.dtype == np.int64
    assert (labels == reader.labels(card.options, name, "test")).all()
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


def test_handwritten_specimens_are_not_shared_between_splits():
    ranges = [set(places) for places in reader._SPECIMENS.values()]
    assert sum(map(len, ranges)) == len(set.union(*ranges)) == 174
    sprites = {digits.handwritten(3, place).tobytes() for place in range(174)}
    assert len(sprites) == 174


def test_the_name_of_a_dataset_changes_its_pictures():
    options = options_of("plants")
    assert (reader.render(options, "plants", "val")[0] != reader.render(options, "other", "val")[0]).any()


def test_styles_are_taken_in_turn_within_a_class():
    options = options_of("things", knobs={"patterned": 0.0, "scale": [1.0, 1.0], "rotation": 0.0, "brightness": 0.0})
    options["concepts"], options["per_class"] = options["concepts"][:2], {"test": 4}
    pixels, labels = reader.render(options, "things", "test")
    assert labels.tolist() == [0] * 4 + [1] * 4
    centres = pixels[:4, 12:36, 12:36].astype(float)
    alike = np.abs(centres[0] - centres[3]).mean()
    assert alike < np.abs(centres[0] - centres[1]).mean()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "photos"}, "kind"),
        ({"per_class": {"test": 0}}, "per_class"),
        ({"knobs": {"scael": [0.5, 1.0]}}, "scael"),
        ({"knobs": {"scale": [1.0, 0.5]}}, "scale"),
        ({"knobs": {"occluded": 1.5}}, "occluded"),
        ({"styles": ["notos"]}, "unknown image style 'notos'"),
        ({"styles": ["flag"]}, "draws concept"),
        ({"surplus": 1}, "surplus"),
    ],
)
def test_bad_options_are_told_in_one_line(changes, message):
    with pytest.raises(UserError, match=message) as caught:
        reader.render(options_of("plants", **changes), "plants", "test")
    assert "\n" not in str(caught.value)


def test_a_split_that_does_not_exist_is_named():
    with pytest.raises(UserError, match="'things-v2' has no train split; it has test"):
        reader.render(load_card("things-v2").options, "things-v2", "train")


def test_unknown_textures_and_digits_get_suggestions():
    with pytest.raises(UserError, match="did you mean striped"):
        reader.render(options_of("textures", concepts=["stripped", "dotted"]), "textures", "val")
    with pytest.raises(UserError, match="unknown digit 'ten'"):
        reader.render(options_of("digits", concepts=["one", "ten"]), "digits", "val")


def test_too_many_handwritten_digits_are_refused():
    with pytest.raises(UserError, match="64 handwritten test specimens"):
        reader.render(options_of("digits", per_class={"test": 65}), "digits", "test")


@pytest.mark.parametrize("kind", range(len(textures.NAMES)))
def test_a_pattern_stays_in_range_and_varies(kind):
    masks = textures.paint(np.full(6, kind), np.random.default_rng(0), (3.0, 7.0), 30)
    assert masks.shape == (6, 48, 48)
    assert masks.min() >= 0
    assert masks.max() <= 1
    assert (masks.std(axis=(1, 2)) > 0.05).all()
    assert len({mask.tobytes() for mask in masks}) == 6
