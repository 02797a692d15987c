"""Readers: what is listed from folders and split files in the real formats, and what is said when they are wrong."""

import hashlib
import json
import sys
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data import readers
from promptarena.benchmark.data.cards import Card, SplitName, load_card
from promptarena.benchmark.data.readers import registry
from promptarena.benchmark.data.readers.listing import DATA_VARIABLE, Listing, MissingDataError
from promptarena.benchmark.data.readers.registry import all_readers, list_split

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


def write_split(folder: Path, **splits: list[list[object]]) -> Path:
    path = folder / "split.json"
    path.write_text(json.dumps(splits), encoding="utf-8")
    return path


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


class TestWhereTheFilesAre:
    def test_a_missing_folder(self, tmp_path: Path) -> None:
        with pytest.raises(MissingDataError, match=r"folder .*pictures does not exist; put the images there"):
            list_split(write_card(tmp_path), "train", None)

    def test_an_absolute_folder(self, tmp_path: Path) -> None:
        touch(tmp_path / "elsewhere", "test/a/1.jpg", "test/b/1.jpg")
        (tmp_path / "cards").mkdir()
        card = write_card(tmp_path / "cards", options=f'folder = "{tmp_path / "elsewhere"}"')
        assert len(list_split(card, "test", None).keys) == 2

    def test_a_built_in_card_looks_under_the_data_root(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "cards").mkdir()
        monkeypatch.setattr("promptarena.benchmark.data.cards._CARDS", tmp_path / "cards")
        monkeypatch.delenv(DATA_VARIABLE, raising=False)
        card = write_card(tmp_path / "cards")
        touch(tmp_path / "given" / "pictures", "test/a/1.jpg")
        touch(tmp_path / "set" / "pictures", "test/a/2.jpg")
        with pytest.raises(MissingDataError, match="with --root or the environment variable PROMPTARENA_DATA"):
            list_split(card, "test", None)
        monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "set"))
        assert list_split(card, "test", None).keys == ("test/a/2.jpg",)
        assert list_split(card, "test", tmp_path / "given").keys == ("test/a/1.jpg",)


class TestSplitJson:
    OPTIONS = 'folder = "."\nsplit_file = "split.json"\nimage_dir = "jpg"'

    def read(self, folder: Path, split: SplitName = "train", options: str = OPTIONS, names: str = "") -> Listing:
        return list_split(write_card(folder, "split_json", options, names), split, None)

    def test_rows_keep_the_files_order(self, tmp_path: Path) -> None:
        write_split(tmp_path, train=[["b/2.jpg", 1, "grey_heron"], ["a/1.jpg", 0, "jay"]], test=[["c.jpg", 0, "jay"]])
        touch(tmp_path / "jpg", "b/2.jpg", "a/1.jpg", "c.jpg")
        train = self.read(tmp_path)
        assert train.class_names == ("jay", "grey heron")
        assert rows(train) == [("b/2.jpg", 1), ("a/1.jpg", 0)]
        assert rows(self.read(tmp_path, "test")) == [("c.jpg", 0)]
        assert rows(self.read(tmp_path, "val")) == []

    def test_pixels_are_found_in_the_image_folder(self, tmp_path: Path) -> None:
        write_split(tmp_path, test=[["y.png", 0, "jay"]])
        (tmp_path / "jpg").mkdir()
        Image.new("RGB", (2, 2), (1, 2, 3)).save(tmp_path / "jpg" / "y.png")
        assert self.read(tmp_path, "test").open_images().pixels(0).getpixel((0, 0)) == (1, 2, 3)

    def test_missing_pictures_are_counted_before_any_is_opened(self, tmp_path: Path) -> None:
        write_split(tmp_path, test=[["a/x.png", 0, "jay"], ["b/y.png", 0, "jay"], ["c/z.png", 1, "heron"]])
        touch(tmp_path / "jpg", "b/y.png", "a/other.png")
        with pytest.raises(UserError, match=r"2 of 3 images are not in .*jpg, 'a/x\.png' first"):
            self.read(tmp_path, "test")

    @pytest.mark.parametrize(
        ("train", "message"),
        [
            ([["a.jpg", 0, "jay"], ["b.jpg", 2, "heron"]], "label 1 is missing"),
            ([["a.jpg", 0, "jay"], ["b.jpg", 0, "heron"]], "label 0 is called 'jay' and, at 'b.jpg', 'heron'"),
            ([["a.jpg", 0, "jay"], ["a.jpg", 0, "jay"]], "image 'a.jpg' is listed 2 times"),
            ([["../a.jpg", 0, "jay"]], "image '../a.jpg' lies outside"),
            ([["/a.jpg", 0, "jay"]], "image '/a.jpg' lies outside"),
            ([["a.jpg", "0", "jay"]], "field 'train.0.1' is \"0\": input should be a valid integer"),
            ([["a.jpg", 0]], "field 'train.0.2' is missing"),
        ],
    )
    def test_a_wrong_row_is_told_with_the_file(self, tmp_path: Path, train: list[list[object]], message: str) -> None:
        path = write_split(tmp_path, train=train)
        with pytest.raises(UserError) as error:
            self.read(tmp_path)
        assert str(error.value).startswith(f"{path}: ")
        assert message in str(error.value)

    def test_broken_json_and_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"cannot read .*split\.json"):
            self.read(tmp_path)
        (tmp_path / "split.json").write_text('{"train": [', encoding="utf-8")
        with pytest.raises(UserError, match=r"split\.json: Invalid JSON"):
            self.read(tmp_path)

    def test_a_changed_split_file_is_refused(self, tmp_path: Path) -> None:
        path = write_split(tmp_path, train=[["a.jpg", 0, "jay"]])
        touch(tmp_path / "jpg", "a.jpg")
        right = hashlib.sha256(path.read_bytes()).hexdigest()
        assert len(self.read(tmp_path, options=f'{self.OPTIONS}\nsplit_sha256 = "{right}"').keys) == 1
        with pytest.raises(UserError, match=f"has SHA-256 {right}, expected {'0' * 64}"):
            self.read(tmp_path, options=f'{self.OPTIONS}\nsplit_sha256 = "{"0" * 64}"')

    def test_names_in_the_card_must_agree_with_the_file(self, tmp_path: Path) -> None:
        write_split(tmp_path, train=[["a.jpg", 0, "jay"], ["b.jpg", 1, "grey_heron"]])
        touch(tmp_path / "jpg", "a.jpg", "b.jpg")
        assert self.read(tmp_path, names='class_names = ["jay", "grey heron"]').class_names[1] == "grey heron"
        with pytest.raises(UserError, match=r"field 'class_names' differs from .* at label 1"):
            self.read(tmp_path, names='class_names = ["jay", "heron"]')


class TestClassFolders:
    """A card's list of class folders decides labels, where sorted names would not."""

    def card(self, folder: Path, content: str = "1\tjay\n0\theron\n10\tgrey_heron\n") -> Card:
        (folder / "classes.txt").write_text(content)
        return write_card(folder, names='class_file = "classes.txt"', options='folder = "pictures"')

    def test_labels_follow_the_list(self, tmp_path: Path) -> None:
        touch(tmp_path / "pictures", "test/0/a.jpg", "test/1/b.jpg", "test/10/c.jpg")
        listing = list_split(self.card(tmp_path), "test", None)
        assert rows(listing) == [("test/1/b.jpg", 0), ("test/0/a.jpg", 1), ("test/10/c.jpg", 2)]
        assert listing.class_names == ("jay", "heron", "grey heron")

    def test_a_folder_that_is_no_class_is_refused(self, tmp_path: Path) -> None:
        touch(tmp_path / "pictures", "test/0/a.jpg", "test/1/b.jpg", "test/10/c.jpg", "test/n01440764/d.jpg")
        with pytest.raises(UserError, match="holds the folder 'n01440764', which is no class of"):
            list_split(self.card(tmp_path), "test", None)

    def test_a_class_without_a_folder_is_named(self, tmp_path: Path) -> None:
        touch(tmp_path / "pictures", "test/0/a.jpg", "test/1/b.jpg")
        with pytest.raises(UserError, match="lacks the class folder '10'"):
            list_split(self.card(tmp_path), "test", None)

    def test_a_file_beside_the_class_folders_is_no_class(self, tmp_path: Path) -> None:
        touch(tmp_path / "pictures", "test/0/a.jpg", "test/1/b.jpg", "test/10/c.jpg", "test/README.txt")
        assert len(list_split(self.card(tmp_path), "test", None).keys) == 3

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("a\tjay\nheron\n", "classes.txt: line 2 must be FOLDER<tab>NAME"),
            ("jay\n\nheron\n", "classes.txt: line 2 must be a name"),
            ("a\tjay\na\theron\n", "name a folder twice"),
        ],
    )
    def test_a_wrong_list_is_told_by_its_line(self, tmp_path: Path, content: str, message: str) -> None:
        with pytest.raises(UserError, match=message):
            self.card(tmp_path, content)


class TestVariantLists:
    OPTIONS = (
        'folder = "aircraft"\nimage_dir = "images"\nclasses = "variants.txt"\n'
        'splits = { train = "images_variant_train.txt", test = "images_variant_test.txt" }'
    )

    def write(self, folder: Path, test: str = "0034309 F-16A/B\n0000007 707-320\n") -> Card:
        (folder / "aircraft" / "images").mkdir(parents=True)
        (folder / "aircraft" / "variants.txt").write_text("707-320\nF-16A/B\nModel B200 King\n")
        (folder / "aircraft" / "images_variant_train.txt").write_text("1025794 Model B200 King\n")
        (folder / "aircraft" / "images_variant_test.txt").write_text(test)
        touch(folder / "aircraft" / "images", "0034309.jpg", "0000007.jpg", "1025794.jpg")
        return write_card(folder, reader="variant_lists", options=self.OPTIONS)

    def test_labels_are_the_lines_of_the_class_list_and_names_may_hold_spaces(self, tmp_path: Path) -> None:
        card = self.write(tmp_path)
        assert rows(list_split(card, "test", None)) == [("0034309.jpg", 1), ("0000007.jpg", 0)]
        assert rows(list_split(card, "train", None)) == [("1025794.jpg", 2)]
        assert rows(list_split(card, "val", None)) == []
        assert list_split(card, "test", None).class_names[2] == "Model B200 King"

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("0034309 F-16", "images_variant_test.txt: line 1 is not ID and class name: '0034309 F-16'"),
            ("../x 707-320", "line 1 is not ID and class name"),
            ("0000001 707-320", "1 of 1 images are not in .*images, '0000001.jpg' first"),
        ],
    )
    def test_a_wrong_line_is_told(self, tmp_path: Path, line: str, message: str) -> None:
        with pytest.raises(UserError, match=message):
            list_split(self.write(tmp_path, f"{line}\n"), "test", None)


LINES = '''
"""The reader of one text file: a line for each picture, FILE and class name."""

from functools import partial

from promptarena.benchmark.data.images import FileImages
from promptarena.benchmark.data.readers.listing import Listing, Reader


def read_lines(card, split, root):
    folder = card.path.parent / card.options["folder"]
    lines = [line.split() for line in (folder / f"{split}.txt").read_text().splitlines()]
    names = sorted({name for _, name in lines})
    keys = tuple(key for key, _ in lines)
    labels = tuple(names.index(name) for _, name in lines)
    return Listing(keys, labels, tuple(names), partial(FileImages, folder, keys))


READER = Reader(name="lines", read=read_lines)
'''


class TestRegistry:
    def test_the_order_of_listings(self) -> None:
        assert list(all_readers()) == ["miniature", "folder", "split_json", "variant_lists"]

    def test_every_reader_has_a_name_and_a_place_of_its_own(self) -> None:
        declared = list(Path(registry.__file__).parent.glob("*.py"))
        found = [path for path in declared if "\nREADER = " in path.read_text(encoding="utf-8")]
        assert len(found) == len(all_readers())
        assert len({each.place for each in all_readers().values()}) == len(found)

    def test_a_new_file_is_a_new_layout(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(UserError, match="input should be 'miniature', 'folder', 'split_json' or 'variant_lists'"):
            write_card(tmp_path, "lines")
        (tmp_path / "code").mkdir()
        (tmp_path / "code" / "line_files.py").write_text(LINES, encoding="utf-8")
        monkeypatch.setattr(readers, "__path__", [*readers.__path__, str(tmp_path / "code")])
        monkeypatch.delitem(sys.modules, f"{readers.__name__}.line_files", raising=False)
        card = write_card(tmp_path, "lines")
        (tmp_path / "pictures").mkdir()
        (tmp_path / "pictures" / "test.txt").write_text("a.jpg jay\nb.jpg heron\n", encoding="utf-8")
        listing = list_split(card, "test", None)
        assert rows(listing) == [("a.jpg", 1), ("b.jpg", 0)]
        assert listing.class_names == ("heron", "jay")
        with pytest.raises(UserError, match="'variant_lists' or 'lines'"):
            write_card(tmp_path, "line")
