"""Splits: the checks on loading, the digest, and selections of images."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data.cards import Card, list_cards, load_card
from promptarena.benchmark.data.splits import find_split, load_split

CARD = """
name = "birds"
title = "Birds"
reader = "folder"
template = "a photo of a {{}}."
licence = "CC0-1.0"
citation = "none"
description = "none"
{counts}
[options]
folder = "pictures"
"""

MakeCard = Callable[[str], Card]


@pytest.fixture
def make_card(tmp_path: Path) -> MakeCard:
    for split, names in (("train", ("1", "2")), ("test", ("3",))):
        for label, bird in enumerate(("heron", "jay")):
            folder = tmp_path / "pictures" / split / bird
            folder.mkdir(parents=True)
            for name in names:
                Image.new("RGB", (4, 4), (label, int(name), 0)).save(folder / f"{name}.png")

    def make(counts: str = "") -> Card:
        (tmp_path / "birds.toml").write_text(CARD.format(counts=counts), encoding="utf-8")
        return load_card(tmp_path / "birds.toml")

    return make


def test_a_split_is_listed_with_labels_and_names(make_card: MakeCard) -> None:
    split = load_split(make_card("[counts]\ntrain = 4\ntest = 2"), "train")
    assert len(split) == 4
    assert split.keys[0] == "train/heron/1.png"
    assert (split.labels.tolist(), split.labels.dtype) == ([0, 0, 1, 1], np.int64)
    assert not split.labels.flags.writeable
    assert split.class_names == ("heron", "jay")


def test_a_wrong_number_of_images_is_reported(make_card: MakeCard) -> None:
    with pytest.raises(UserError, match=r"found 4 train images, but .*birds\.toml counts 5; complete the files"):
        load_split(make_card("[counts]\ntrain = 5"), "train")


def test_a_split_the_card_does_not_count_does_not_exist(make_card: MakeCard) -> None:
    with pytest.raises(UserError, match=r"dataset 'birds' has no val images; .*birds\.toml counts train, test"):
        load_split(make_card("[counts]\ntrain = 4\ntest = 2"), "val")


def test_without_counts_an_empty_split_does_not_exist(make_card: MakeCard) -> None:
    with pytest.raises(UserError, match="dataset 'birds' has no val images"):
        load_split(make_card(""), "val")


def test_a_split_may_be_looked_for(make_card: MakeCard) -> None:
    assert find_split(make_card(""), "val") is None
    assert find_split(make_card("[counts]\ntrain = 4\ntest = 2"), "val") is None
    test = find_split(make_card(""), "test")
    assert test is not None
    assert len(test) == 2


def test_every_class_needs_an_image(make_card: MakeCard, tmp_path: Path) -> None:
    (tmp_path / "pictures" / "test" / "jay" / "3.png").unlink()
    with pytest.raises(UserError, match="class 'jay' has no test images"):
        load_split(make_card(""), "test")


def test_one_class_is_no_dataset(tmp_path: Path) -> None:
    folder = tmp_path / "pictures" / "test" / "heron"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(b"")
    (tmp_path / "birds.toml").write_text(CARD.format(counts=""), encoding="utf-8")
    with pytest.raises(UserError, match="has 1 class; at least two are needed"):
        load_split(load_card(tmp_path / "birds.toml"), "test")


def test_the_digest_covers_paths_labels_and_names_not_the_place(make_card: MakeCard, tmp_path: Path) -> None:
    card = make_card("")
    train = load_split(card, "train")
    assert load_split(card, "train").digest == train.digest
    (tmp_path / "pictures").rename(tmp_path / "moved")
    (tmp_path / "birds.toml").write_text(CARD.format(counts="").replace("pictures", "moved"), encoding="utf-8")
    moved = load_card(tmp_path / "birds.toml")
    assert load_split(moved, "train").digest == train.digest
    (tmp_path / "moved" / "train" / "jay" / "2.png").rename(tmp_path / "moved" / "train" / "jay" / "9.png")
    assert load_split(moved, "train").digest != train.digest


def test_images_are_opened_once(make_card: MakeCard) -> None:
    split = load_split(make_card(""), "train")
    assert split.images is split.images
    assert [split.images.pixels(row).getpixel((0, 0)) for row in (3, 0)] == [(1, 2, 0), (0, 1, 0)]


def test_a_split_travels_to_another_process(make_card: MakeCard) -> None:
    split = load_split(make_card(""), "test")
    twin = pickle.loads(pickle.dumps(split))
    assert (twin.digest, twin.keys) == (split.digest, split.keys)
    assert twin.images.pixels(0).size == (4, 4)


@pytest.mark.parametrize("name", [name for name in list_cards() if load_card(name).reader == "miniature"])
def test_the_miniature_is_listed_as_its_cards_say(name: str) -> None:
    card = load_card(name)
    for split_name in card.counts:
        split = load_split(card, split_name)
        assert split.class_names == card.class_names
        assert len(set(split.keys)) == len(split.keys)
        assert split.keys[0].startswith(f"{name}/{split_name}/0@")
        counts = np.bincount(split.labels)
        assert counts.min() == counts.max()


def test_the_miniature_renders_the_same_pictures_again() -> None:
    card = load_card("digits")
    one, two = load_split(card, "val"), load_split(card, "val")
    assert one.digest == two.digest
    picture = one.images.pixels(7)
    assert (picture.size, picture.mode) == ((48, 48), "RGB")
    np.testing.assert_array_equal(np.asarray(picture), np.asarray(two.images.pixels(7)))
