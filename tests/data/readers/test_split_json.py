"""Split files in the published format."""

import hashlib
import json
from pathlib import Path

import pytest
from PIL import Image
from reader_folders import rows, touch, write_card

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data.cards import SplitName
from promptarena.benchmark.data.readers.listing import Listing
from promptarena.benchmark.data.readers.registry import list_split


def write_split(folder: Path, **splits: list[list[object]]) -> Path:
    path = folder / "split.json"
    path.write_text(json.dumps(splits), encoding="utf-8")
    return path


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
    def test_a_wrong_row_is_reported_with_the_file(
        self, tmp_path: Path, train: list[list[object]], message: str
    ) -> None:
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
