"""Odd pictures and odd names in a folder of classes: read as the field reads them, or refused by name."""

import os
import stat
import struct
import subprocess
import sys
import unicodedata
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from odd_pictures import KINDS, noise, stored
from PIL import Image
from torchvision import transforms

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data.cards import Card, load_card
from promptarena.benchmark.data.splits import Split, load_split
from promptarena.benchmark.inputs.transforms import test_view as as_tested

CARD = """
name = "odd"
title = "Odd"
reader = "folder"
template = "a photo of a {}."
licence = "none"
citation = ""
description = ""
[options]
folder = "pictures"
splits = { test = "test" }
"""
PLAIN = stored(noise((90, 120, 30), (31, 23)), "PNG")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The folder of a class; another class is there too."""
    for name in ("heron", "jay"):
        (tmp_path / "pictures" / "test" / name).mkdir(parents=True)
    (tmp_path / "pictures" / "test" / "jay" / "plain.png").write_bytes(PLAIN)
    return tmp_path / "pictures" / "test" / "heron"


def card(place: Path) -> Card:
    path = place.parents[2] / "odd.toml"
    path.write_text(CARD)
    return load_card(path)


def listed(place: Path) -> Split:
    return load_split(card(place), "test")


def names(place: Path) -> list[str]:
    return [key.rpartition("/")[2] for key in listed(place).keys if "/heron/" in key]


def as_in_the_field(path: Path) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Image.open(path).convert("RGB")


def png(width: int, height: int) -> bytes:
    """A PNG whose header promises this size and whose rows are missing."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("size", [(31, 23), (23, 31), (1, 50), (50, 1), (1, 1)], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_read_and_cropped_as_in_the_fields_code(place: Path, kind: str, size: tuple[int, int]) -> None:
    path = place / "odd.JPG"
    path.write_bytes(KINDS[kind](noise((200, 40, 90), size)))
    seen = listed(place).images.pixels(0)
    assert (seen.mode, seen.size) == ("RGB", size)
    np.testing.assert_array_equal(np.asarray(seen), np.asarray(as_in_the_field(path)))
    fields = transforms.Compose(
        [transforms.Resize(16, transforms.InterpolationMode.BICUBIC), transforms.CenterCrop(16)]
    )
    view = as_tested(seen, 16)
    np.testing.assert_array_equal(np.asarray(view), np.asarray(fields(as_in_the_field(path))))
    assert view.size == (16, 16)


def test_the_kinds_are_what_they_are_called(tmp_path: Path) -> None:
    modes = {}
    for kind, make in KINDS.items():
        (tmp_path / "x").write_bytes(make(noise((200, 40, 90), (31, 23))))
        with warnings.catch_warnings(record=True) as warned, Image.open(tmp_path / "x") as picture:
            warnings.simplefilter("always")
            modes[kind] = picture.mode
            turned = picture.getexif().get(0x0112)
        assert bool(warned) == (kind == "broken EXIF"), kind
        assert (turned == 6) == (kind == "turned by EXIF"), kind
    assert set(modes.values()) >= {"1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"}


def test_broken_metadata_is_no_ones_concern(tmp_path: Path) -> None:
    path = tmp_path / "broken.jpg"
    path.write_bytes(KINDS["broken EXIF"](noise((9, 9, 9), (31, 23))))
    code = f"from promptarena.benchmark.data.images import decode, Path; print(decode(Path({str(path)!r})).size)"
    ended = subprocess.run([sys.executable, "-W", "always", "-c", code], capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("(31, 23)\n", "")


DAMAGED = {
    "empty": (b"", "cannot identify"),
    "two bytes": (b"\xff\xd8", "cannot identify"),
    "a web page": (b"<!DOCTYPE html><title>404 Not Found</title>", "cannot identify"),
    "a pointer of Git LFS": (b"version https://git-lfs.github.com/spec/v1\nsize 12\n", "cannot identify"),
    "half a progressive JPEG": (KINDS["progressive"](noise((9, 9, 9), (64, 64)))[:-900], "truncated"),
    "half of two pictures": (KINDS["two pictures in one JPEG"](noise((9, 9, 9), (64, 64)))[:900], "truncated"),
    "a header without rows": (png(8, 8), "truncated"),
    "no width": (png(0, 8), "cannot identify"),
    "a huge size": (png(60_000, 60_000), "decompression bomb"),
    "the hugest size": (png(2**31 - 1, 2**31 - 1), "decompression bomb"),
}


@pytest.mark.parametrize(("content", "reason"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_named_with_the_reason(place: Path, content: bytes, reason: str) -> None:
    (place / "bad.jpg").write_bytes(content)
    split = listed(place)
    with pytest.raises(UserError) as error:
        split.images.pixels(0)
    assert str(error.value).startswith(f"image {place / 'bad.jpg'} cannot be decoded (")
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


def test_no_other_program_is_started_to_read_a_picture(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bin_folder = place.parents[2] / "bin"
    bin_folder.mkdir()
    (bin_folder / "gs").write_text(f"#!/bin/sh\ntouch {bin_folder / 'started'}\n")
    (bin_folder / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(bin_folder), prepend=os.pathsep)
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", None)
    (place / "drawing.jpg").write_bytes(stored(noise((9, 9, 9), (31, 23)), "EPS"))
    with pytest.raises(UserError, match=r"drawing\.jpg cannot be decoded"):
        listed(place).images.pixels(0)
    assert not (bin_folder / "started").exists()


def test_endings_count_in_any_case_and_other_files_do_not(place: Path) -> None:
    pictures = ["a.jpg", "b.JPG", "c.Jpg", "d.jpeg", "e.JPEG", "f.PnG", "g.WebP", "h.BMP", "i.tar.jpg"]
    others = ["k.txt", "l", "jpg", "m.jpg.part", "n.jpg~", "o.jpg ", "Thumbs.db", "README.JPG.md", "p.mat"]
    hidden = [".DS_Store", "._a.jpg", ".jpg", ".hidden.png", ".directory"]
    for name in (*pictures, *others, *hidden):
        (place / name).write_bytes(PLAIN)
    (place / "folder").mkdir()
    os.mkfifo(place / "pipe")
    assert names(place) == pictures


@pytest.mark.parametrize(
    "name",
    [
        "with space.jpg",
        "été.jpg",
        unicodedata.normalize("NFD", "été.jpg"),
        "鳥 🐦.jpg",
        "a+b#c%20&?*.jpg",
        "[bold]x.jpg",
        "--root.jpg",
        "two\nlines.jpg",
        'quote"\\.jpg',
        "a" * 200 + ".jpg",
    ],
    ids=ascii,
)
def test_any_text_may_be_a_name(place: Path, name: str) -> None:
    (place / name).write_bytes(PLAIN)
    split = listed(place)
    assert split.keys[0] == f"test/heron/{name}"
    np.testing.assert_array_equal(np.asarray(split.images.pixels(0)), np.asarray(as_in_the_field(place / name)))


@pytest.mark.parametrize("name", [b"caf\xe9.jpg", b"\xff\xfe"])
def test_a_name_that_is_no_text_is_refused(place: Path, name: bytes) -> None:
    (place / "fine.jpg").write_bytes(PLAIN)
    try:
        Path(os.fsdecode(os.fsencode(place) + b"/" + name)).write_bytes(PLAIN)
    except OSError:
        pytest.skip("this file system takes no such name")
    with pytest.raises(UserError) as error:
        listed(place)
    assert str(error.value) == f"{place}: the name {name!r} is not UTF-8; rename it"


def test_names_are_ordered_by_their_characters_on_every_disk(place: Path) -> None:
    expected = ["10.jpg", "9.jpg", "A.jpg", "B.jpg", "a.jpg", "Ä.jpg", "ä.jpg"]
    for name in ("ä.jpg", "a.jpg", "10.jpg", "B.jpg", "Ä.jpg", "9.jpg", "A.jpg"):
        (place / name).write_bytes(PLAIN)
    assert names(place) == expected


def test_links_are_followed(place: Path) -> None:
    elsewhere = place.parents[2] / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "1").write_bytes(PLAIN)
    (place / "link.jpg").symlink_to(elsewhere / "1")
    (place / "hard.jpg").hardlink_to(elsewhere / "1")
    (elsewhere / "class").mkdir()
    (elsewhere / "class" / "x.png").write_bytes(PLAIN)
    (place.parent / "wren").symlink_to(elsewhere / "class")
    split = listed(place)
    assert split.keys == ("test/heron/hard.jpg", "test/heron/link.jpg", "test/jay/plain.png", "test/wren/x.png")
    assert {split.images.pixels(row).size for row in range(4)} == {(31, 23)}


def test_a_folder_that_may_not_be_read_is_named(place: Path) -> None:
    place.chmod(0)
    try:
        if os.access(place, os.R_OK):
            pytest.skip("who runs this may read everything")
        with pytest.raises(UserError, match=r"cannot read .*heron: Permission denied"):
            listed(place)
    finally:
        place.chmod(stat.S_IRWXU)


def test_a_folder_called_otherwise_is_reported_not_divided(place: Path) -> None:
    path = place.parents[2] / "odd.toml"
    (path.parent / "classes.txt").write_text("heron\theron\njay\tblue jay\n")
    path.write_text('class_file = "classes.txt"' + CARD.replace('test = "test"', 'test = "images"'))
    with pytest.raises(UserError, match=r"pictures has no images folder; it holds 'test'; rename or link what is"):
        load_split(load_card(path), "test")
