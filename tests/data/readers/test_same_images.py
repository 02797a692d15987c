"""An image belongs to one split, however its path is spelled and whatever links lead to it."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data.cards import Card, load_card
from promptarena.benchmark.data.readers.registry import list_split
from promptarena.benchmark.data.readers.same_images import refuse_repeated_paths

CARD = """
name = "birds"
title = "Birds"
reader = "{reader}"
template = "a photo of a {{}}."
licence = ""
citation = ""
description = ""
[options]
folder = "pictures"
{options}
"""


def soft(link: Path, target: Path) -> None:
    link.symlink_to(target)


def relative(link: Path, target: Path) -> None:
    link.symlink_to(os.path.relpath(target, link.parent))


def hard(link: Path, target: Path) -> None:
    link.hardlink_to(target)


def by_its_folder(link: Path, target: Path) -> None:
    """Not the file is a link but its folder."""
    link.parent.rmdir()
    link.parent.symlink_to(target.parent)


LINKS = [soft, relative, hard, by_its_folder]


def card(place: Path, reader: str, options: str = "") -> Card:
    (place / "birds.toml").write_text(CARD.format(reader=reader, options=options))
    return load_card(place / "birds.toml")


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


parts = st.sampled_from(["", ".", "./.", "a", "b"])


@given(names=st.lists(st.tuples(st.lists(parts, max_size=3), st.sampled_from(["1.png", "2.png"])), max_size=6))
def test_paths_are_compared_by_what_they_mean(names: list[tuple[list[str], str]]) -> None:
    keys = ["/".join([*inside, name]).lstrip("/") for inside, name in names]
    meant = {tuple(part for part in key.split("/") if part not in ("", ".")) for key in keys}
    try:
        refuse_repeated_paths(Path("split.json"), keys)
        refused = False
    except UserError:
        refused = True
    assert refused == (len(meant) < len(keys))


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("split", ["train", "test", "val"])
@pytest.mark.parametrize("other", ["train", "test"])
def test_links_in_a_split_file(tmp_path: Path, link: Callable[[Path, Path], None], split: str, other: str) -> None:
    touch(tmp_path / "pictures", "a/0.png", "b/0.png", "c/1.png", "d/1.png")
    (tmp_path / "pictures" / "e").mkdir()
    link(tmp_path / "pictures" / "e" / "0.png", tmp_path / "pictures" / "a" / "0.png")
    rows = {"train": [["a/0.png", 0, "jay"], ["b/0.png", 1, "wren"]], "val": [], "test": [["c/1.png", 0, "jay"]]}
    (tmp_path / "split.json").write_text(json.dumps(rows))
    birds = card(tmp_path, "split_json", 'split_file = "split.json"')
    assert len(list_split(birds, "train", None).keys) == 2
    rows[split] = [*rows[split], ["e/0.png", 0, "jay"]]
    (tmp_path / "split.json").write_text(json.dumps(rows))
    with pytest.raises(UserError, match=r"'a/0.png' .* 'e/0.png' .*links to the same file; an image belongs to one"):
        list_split(birds, "test" if other == "test" else "train", None)


@pytest.mark.parametrize("link", LINKS[:3])
def test_lists_of_ids(tmp_path: Path, link: Callable[[Path, Path], None]) -> None:
    touch(tmp_path / "pictures", "1.jpg", "2.jpg", "3.jpg")
    link(tmp_path / "pictures" / "4.jpg", tmp_path / "pictures" / "1.jpg")
    (tmp_path / "pictures" / "names.txt").write_text("jay\nwren\n")
    (tmp_path / "pictures" / "train.txt").write_text("1 jay\n2 wren\n")
    birds = card(
        tmp_path, "variant_lists", 'classes = "names.txt"\nsplits = { train = "train.txt", test = "test.txt" }'
    )
    for content, expected in (
        ("3 jay\n", None),
        ("3 jay\n1 jay\n", "'1.jpg' is listed 2 times"),
        ("3 jay\n3 wren\n", "'3.jpg' is listed 2 times"),
        ("3 jay\n4 jay\n", r"'1.jpg' \(train\) and '4.jpg' \(test\) are links to the same file"),
    ):
        (tmp_path / "pictures" / "test.txt").write_text(content)
        for split in ("train", "test"):
            if expected is None:
                list_split(birds, "train", None)
            else:
                with pytest.raises(UserError, match=expected):
                    list_split(birds, "train" if split == "train" else "test", None)


@pytest.mark.parametrize("link", LINKS)
def test_links_between_the_folders_of_splits(tmp_path: Path, link: Callable[[Path, Path], None]) -> None:
    touch(tmp_path / "pictures", "train/jay/0.png", "train/wren/0.png", "test/jay/1.png", "test/wren/2.png")
    birds = card(tmp_path, "folder")
    assert len(list_split(birds, "test", None).keys) == 2
    (tmp_path / "pictures" / "test" / "jay" / "1.png").unlink()
    link(tmp_path / "pictures" / "test" / "jay" / "1.png", tmp_path / "pictures" / "train" / "jay" / "0.png")
    for split in ("train", "test"):
        with pytest.raises(
            UserError, match=r"'train/jay/0.png' \(train\) and 'test/jay/[01].png' \(test\) are links to"
        ):
            list_split(birds, "train" if split == "train" else "test", None)


@pytest.mark.parametrize("link", LINKS[:3])
def test_links_that_an_own_split_divides(tmp_path: Path, link: Callable[[Path, Path], None]) -> None:
    touch(tmp_path / "pictures", *(f"{name}/{number}.png" for name in ("jay", "wren") for number in range(8)))
    birds = card(tmp_path, "folder", "own_split = true")
    (train, *_), (test, *_) = (list_split(birds, split, None).keys for split in ("train", "test"))
    (tmp_path / "pictures" / test).unlink()
    link(tmp_path / "pictures" / test, tmp_path / "pictures" / train)
    with pytest.raises(UserError, match="are links to the same file"):
        list_split(birds, "train", None)


def test_equal_images_of_one_split_may_be_links(tmp_path: Path) -> None:
    """Stores that keep equal files once, such as that of the Hugging Face Hub, are made of links."""
    touch(tmp_path / "pictures", "train/jay/0.png", "train/wren/0.png", "test/jay/1.png", "test/wren/2.png")
    soft(tmp_path / "pictures" / "train" / "jay" / "5.png", tmp_path / "pictures" / "train" / "jay" / "0.png")
    assert len(list_split(card(tmp_path, "folder"), "train", None).keys) == 3
