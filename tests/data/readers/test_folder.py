"""A folder of splits of class folders."""

from collections import Counter
from pathlib import Path

import pytest
from PIL import Image
from reader_folders import rows, touch, write_card

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data.readers.registry import list_split


class TestFolder:
    def test_classes_and_files_are_sorted_and_all_endings_count(self, tmp_path: Path) -> None:
        touch(
            tmp_path / "pictures",
            "train/grey_heron/b.JPG",
            "train/grey_heron/a.webp",
            "train/grey_heron/notes.txt",
            "train/grey_heron/.hidden.jpg",
            "train/Blue_jay/x.PNG",
            "train/Blue_jay/y.bmp",
            "train/Blue_jay/z.jpeg",
            "train/.cache/x.jpg",
            "train/readme.md",
            "test/grey_heron/c.jpg",
            "test/Blue_jay/d.jpg",
        )
        card = write_card(tmp_path)
        train = list_split(card, "train", None)
        assert train.class_names == ("Blue jay", "grey heron")
        assert rows(train) == [
            ("train/Blue_jay/x.PNG", 0),
            ("train/Blue_jay/y.bmp", 0),
            ("train/Blue_jay/z.jpeg", 0),
            ("train/grey_heron/a.webp", 1),
            ("train/grey_heron/b.JPG", 1),
        ]
        assert rows(list_split(card, "test", None)) == [("test/Blue_jay/d.jpg", 0), ("test/grey_heron/c.jpg", 1)]
        assert rows(list_split(card, "val", None)) == []

    def test_pixels_are_those_of_the_files(self, tmp_path: Path) -> None:
        for name, colour in (("heron", (0, 0, 255)), ("jay", (255, 0, 0))):
            (tmp_path / "pictures" / "test" / name).mkdir(parents=True)
            Image.new("RGB", (3, 2), colour).save(tmp_path / "pictures" / "test" / name / "a.png")
        images = list_split(write_card(tmp_path), "test", None).open_images()
        assert len(images) == 2
        assert (images.pixels(1).size, images.pixels(1).getpixel((0, 0))) == ((3, 2), (255, 0, 0))

    def test_split_folders_may_have_other_names(self, tmp_path: Path) -> None:
        touch(tmp_path / "pictures", "images/training/a/1.jpg", "images/held out/a/2.jpg")
        options = 'folder = "pictures"\nsplits = { train = "images/training", test = "images/held out" }'
        card = write_card(tmp_path, options=options)
        assert rows(list_split(card, "test", None)) == [("images/held out/a/2.jpg", 0)]
        assert rows(list_split(card, "val", None)) == []

    def test_names_in_the_card_go_with_the_sorted_folders(self, tmp_path: Path) -> None:
        touch(tmp_path / "pictures", "test/n01/1.jpg", "test/n02/2.jpg")
        card = write_card(tmp_path, names='class_names = ["tench", "great_white shark"]')
        assert list_split(card, "test", None).class_names == ("tench", "great white shark")
        card = write_card(tmp_path, names='class_names = ["tench", "shark", "ray"]')
        with pytest.raises(UserError, match=r"field 'class_names' has 3 names, but .*pictures has 2 class folders"):
            list_split(card, "test", None)

    def test_a_class_must_be_in_train_and_test_but_not_in_val(self, tmp_path: Path) -> None:
        touch(tmp_path / "pictures", "train/a/1.jpg", "train/b/2.jpg", "test/a/1.jpg", "test/b/2.jpg", "val/b/1.jpg")
        card = write_card(tmp_path)
        assert rows(list_split(card, "val", None)) == [("val/b/1.jpg", 1)]
        touch(tmp_path / "pictures", "train/c/1.jpg")
        with pytest.raises(UserError, match=r"pictures/test lacks the class folder 'c'; every split needs the same"):
            list_split(card, "train", None)

    def test_an_own_split_divides_each_class_by_50_20_30(self, tmp_path: Path) -> None:
        touch(tmp_path / "pictures", *(f"{name}/{index:02}.jpg" for name in ("a", "b") for index in range(20)))
        card = write_card(tmp_path, options='folder = "pictures"\nown_split = true')
        splits = {name: rows(list_split(card, name, None)) for name in ("train", "val", "test")}
        for name, size in (("train", 10), ("val", 4), ("test", 6)):
            assert Counter(label for _, label in splits[name]) == {0: size, 1: size}
        paths = [path for listed in splits.values() for path, _ in listed]
        assert len(set(paths)) == 40
        assert splits == {name: rows(list_split(card, name, None)) for name in ("train", "val", "test")}

    def test_an_own_split_needs_four_pictures_a_class(self, tmp_path: Path) -> None:
        touch(tmp_path / "pictures", "a/1.jpg", "a/2.jpg", "a/3.jpg")
        card = write_card(tmp_path, options='folder = "pictures"\nown_split = true')
        with pytest.raises(UserError, match="holds 3 images; own_split needs at least 4"):
            list_split(card, "train", None)

    def test_class_folders_without_splits_bring_the_hint(self, tmp_path: Path) -> None:
        touch(tmp_path / "pictures", "a/1.jpg", "b/1.jpg")
        with pytest.raises(UserError, match="has no train, val, test folder; set own_split = true"):
            list_split(write_card(tmp_path), "train", None)

    def test_wrong_options_name_the_card(self, tmp_path: Path) -> None:
        card = write_card(tmp_path, options='folders = "pictures"')
        with pytest.raises(
            UserError, match=r"birds\.toml: \[options\]: unknown field 'folders'; did you mean 'folder'"
        ):
            list_split(card, "train", None)
