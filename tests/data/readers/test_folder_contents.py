"""Folders of classes: every image is read, or the reader refuses and names the first that it would leave out."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data.cards import Card, load_card
from promptarena.benchmark.data.readers.registry import list_split

CARD = """
name = "birds"
title = "Birds"
reader = "folder"
template = "a photo of a {}."
licence = ""
citation = ""
description = ""
[options]
folder = "pictures"
"""


def write_card(place: Path, *, folder: str = "pictures", options: str = "") -> Card:
    (place / "birds.toml").write_text(CARD.replace("pictures", folder) + options)
    return load_card(place / "birds.toml")


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for split in ("train", "test"):
        for name in ("heron", "jay"):
            touch(tmp_path / "pictures" / split / name / "0.png")
    return tmp_path / "pictures"


def leads_nowhere(path: Path) -> None:
    path.symlink_to(path.parent / "unmounted" / "x")


def circle(path: Path) -> None:
    path.symlink_to(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


MAKERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a link that leads nowhere": (leads_nowhere, "is a link that leads nowhere"),
    "a circle of links": (circle, "is a link that leads nowhere"),
    "a folder called like an image": (Path.mkdir, "is a folder"),
    "a pipe": (os.mkfifo, "is not a file"),
    "a device": (device, "is not a file"),
}


@pytest.mark.parametrize(("make", "reason"), MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("own_split", [False, True])
def test_what_is_called_an_image_and_is_none_is_refused(
    pictures: Path, split: str, make: Callable[[Path], object], reason: str, own_split: bool
) -> None:
    make(pictures / split / "heron" / "1.png")
    make(pictures / split / "heron" / "2.JPG")
    card = write_card(pictures.parent)
    if own_split:
        card = write_card(pictures.parent, folder=f"pictures/{split}", options="own_split = true\n")
    with pytest.raises(UserError, match=f"2 images in .* would be left out, .*heron/1.png' first, which {reason}"):
        list_split(card, "train", None)


def test_a_link_to_a_folder_that_is_not_mounted(pictures: Path) -> None:
    for place in (pictures / "train" / "jay" / "more", pictures / "train" / "wren", pictures / "val"):
        place.symlink_to("/unmounted/folder")
        with pytest.raises(UserError, match=f"{place.name}"):
            list_split(write_card(pictures.parent), "train", None)
        place.unlink()
    assert len(list_split(write_card(pictures.parent), "train", None).keys) == 2


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(data=st.data())
def test_images_below_a_class_folder_are_refused_and_counted(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("birds")
    for split in ("train", "test"):
        for name in ("heron", "jay"):
            touch(folder / "pictures" / split / name / "0.png")
    parts = st.lists(st.sampled_from(["a", "b", "session 1"]), min_size=1, max_size=3).map("/".join)
    below = data.draw(st.sets(st.tuples(parts, st.sampled_from(["1.png", "2.jpg", "3.tif", "notes.txt"])), max_size=6))
    for inside, name in below:
        touch(folder / "pictures" / "train" / "heron" / inside / name)
    images = sorted(f"train/heron/{inside}/{name}" for inside, name in below if name != "notes.txt")
    card = write_card(folder)
    if not images:
        assert len(list_split(card, "train", None).keys) == 2
        return
    many = "1 image" if len(images) == 1 else f"{len(images)} images"
    with pytest.raises(UserError, match=f"{many} in .* would be left out, '{images[0]}' first, which lies in a folder"):
        list_split(card, "train", None)


def test_links_in_a_circle_below_a_class_folder_end(pictures: Path) -> None:
    below = pictures / "train" / "heron" / "below"
    below.mkdir()
    (below / "again").symlink_to(below)
    (below / "up").symlink_to(pictures / "train")
    with pytest.raises(UserError, match="2 images in"):
        list_split(write_card(pictures.parent), "train", None)


@pytest.mark.parametrize("ending", ["gif", "TIF", "tiff", "ppm", "heic", "avif", "jp2", "JFIF"])
def test_images_of_a_kind_that_is_not_read(pictures: Path, ending: str) -> None:
    touch(pictures / "train" / "jay" / f"1.{ending}")
    with pytest.raises(UserError, match=f"1 image in .*jay/1.{ending}' first, which is an image of a kind that is not"):
        list_split(write_card(pictures.parent), "train", None)


def test_images_beside_the_class_folders(pictures: Path) -> None:
    touch(pictures / "train" / "collage.png")
    with pytest.raises(
        UserError, match=r"1 image in .*train .*'collage.png' first, which lies beside the class folders"
    ):
        list_split(write_card(pictures.parent), "train", None)


@pytest.mark.parametrize("make", [make for make, _ in MAKERS.values()], ids=MAKERS)
def test_lists_do_not_take_what_is_no_file(pictures: Path, make: Callable[[Path], object]) -> None:
    make(pictures / "train" / "heron" / "1.png")
    rows = [[f"{split}/{name}/{file}.png", label, name] for split, name, label, file in [("train", "heron", 0, 1)]]
    rows.append(["train/jay/0.png", 1, "jay"])
    (pictures.parent / "split.json").write_text(f'{{"train": {rows}}}'.replace("'", '"'))
    (pictures.parent / "birds.toml").write_text(
        CARD.replace('"folder"', '"split_json"') + 'split_file = "split.json"\n'
    )
    with pytest.raises(UserError, match=r"1 of 2 images are not in .*, 'train/heron/1.png' first"):
        list_split(load_card(pictures.parent / "birds.toml"), "train", None)
