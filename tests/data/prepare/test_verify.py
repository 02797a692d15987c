"""Verifying a dataset: present, whole, counted; or what is wrong with it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from promptarena.benchmark.data.cards import Card, load_card
from promptarena.benchmark.data.prepare.verify import verify
from promptarena.benchmark.data.splits import load_split

CARD = """
name = "birds"
title = "Birds"
reader = "folder"
template = "a photo of a {}."
licence = "CC0-1.0"
citation = "none"
description = "none"
[counts]
train = 4
test = 2
[options]
folder = "pictures"
"""


@pytest.fixture
def card(tmp_path: Path) -> Card:
    for split, names in (("train", ("1", "2")), ("test", ("3",))):
        for bird in ("heron", "jay"):
            (tmp_path / "pictures" / split / bird).mkdir(parents=True)
            for name in names:
                Image.new("RGB", (4, 4)).save(tmp_path / "pictures" / split / bird / f"{name}.png")
    return write(tmp_path, CARD)


def write(folder: Path, text: str) -> Card:
    (folder / "birds.toml").write_text(text, encoding="utf-8")
    return load_card(folder / "birds.toml")


def test_a_whole_dataset(card: Card) -> None:
    seen: list[int] = []
    report = verify(card, progress=seen.append)
    assert (report.dataset, report.present, report.whole, report.problems) == ("birds", True, True, ())
    assert [(split.split, split.found, split.expected) for split in report.splits] == [("train", 4, 4), ("test", 2, 2)]
    assert [split.digest for split in report.splits] == [load_split(card, name).digest for name in ("train", "test")]
    assert sum(seen) == 6


def test_a_dataset_that_is_not_there(tmp_path: Path) -> None:
    report = verify(write(tmp_path, CARD))
    assert (report.present, report.whole, report.splits) == (False, False, ())
    assert "does not exist" in report.problems[0]


def test_a_missing_image_is_a_wrong_count(card: Card, tmp_path: Path) -> None:
    (tmp_path / "pictures" / "train" / "jay" / "2.png").unlink()
    report = verify(card)
    assert (report.present, report.whole) == (True, False)
    assert report.splits[0].digest is None
    assert (report.splits[0].found, report.splits[0].expected) == (3, 4)
    assert "found 3 train images" in report.problems[0]


def test_the_first_damaged_image_is_named(card: Card, tmp_path: Path) -> None:
    for bird in ("heron", "jay"):
        (tmp_path / "pictures" / "train" / bird / "2.png").write_bytes(b"\x89PNG")
    report = verify(card)
    assert len(report.problems) == 1
    assert "heron/2.png cannot be decoded" in report.problems[0].replace("\\", "/")
    assert report.splits[0].digest is not None


def test_wrong_folders_are_reported_not_raised(card: Card, tmp_path: Path) -> None:
    (tmp_path / "pictures" / "train" / "crow").mkdir()
    report = verify(card)
    assert (report.present, report.whole) == (True, False)
    assert "lacks the class folder 'crow'" in report.problems[0]


def test_without_counts_val_may_be_absent_but_train_and_test_are_reported(card: Card, tmp_path: Path) -> None:
    open_card = write(tmp_path, CARD.replace("[counts]\ntrain = 4\ntest = 2\n", ""))
    report = verify(open_card)
    assert report.whole
    assert [(split.split, split.expected) for split in report.splits] == [("train", None), ("test", None)]


def test_a_miniature_dataset_is_rendered_and_counted() -> None:
    card = load_card("digits")
    report = verify(card)
    assert report.whole
    assert {split.split: split.found for split in report.splits} == card.counts


@given(
    values=st.lists(st.integers(0, 3), min_size=6, max_size=6),
    formats=st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_images_that_splits_share_are_found_by_their_pixels(
    tmp_path_factory: pytest.TempPathFactory, values: list[int], formats: list[bool]
) -> None:
    """Six images of four contents; the file's format does not matter."""
    folder = tmp_path_factory.mktemp("birds")
    contents: dict[str, list[int]] = {"train": [], "test": []}
    for number, (value, png) in enumerate(zip(values, formats, strict=True)):
        split, bird = ("train" if number < 4 else "test"), ("heron", "jay")[number % 2]
        path = folder / "pictures" / split / bird / f"{number}.{'png' if png else 'bmp'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (value, 0, 0)).save(path)
        contents[split].append(value)
    card = write(folder, CARD)
    shared = sum(value in contents["train"] for value in contents["test"])
    assert verify(card).whole
    report = verify(card, duplicates=True)
    assert report.whole == (not shared)
    if shared:
        (problem,) = report.problems
        verb = "has" if shared == 1 else "have"
        assert problem.startswith(f"{shared} of its test images {verb} the same pixels as a train image, 'test/")


def test_imagenets_repeated_names_are_noted(tmp_path: Path) -> None:
    names = [f"class {number:03}" for number in range(998)]
    for split in ("train", "test"):
        for name in (*names, "crane", "crane_"):
            path = tmp_path / "pictures" / split / name / f"{split}.bmp"
            path.parent.mkdir(parents=True)
            Image.new("RGB", (1, 1)).save(path)
    report = verify(write(tmp_path, CARD.replace("4", "1000").replace("2", "1000")))
    assert report.whole
    assert report.notes == ("two classes are called crane; no method can separate these by name",)
