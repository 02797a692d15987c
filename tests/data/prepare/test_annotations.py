"""Annotations in the authors' formats."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from authors_files import make_card, touch, write, write_cars, write_flowers, write_sun397, write_ucf101
from scipy.io import savemat

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data.prepare.annotations import Row, read_annotations


class TestLayouts:
    def test_class_folders_are_labelled_by_their_sorted_names(self, tmp_path: Path) -> None:
        touch(
            tmp_path / "101",
            "accordion/b.jpg",
            "accordion/a.JPG",
            "accordion/._a.jpg",
            "accordion/notes.txt",
            "Faces/1.jpg",
            "BACKGROUND/1.jpg",
            ".cache/1.jpg",
            "readme.jpg",
        )
        card = make_card("class_folders", ["face", "accordion"], image_dir="101", drop=["BACKGROUND"])
        assert read_annotations(card, tmp_path) == (
            Row("Faces/1.jpg", 0, "face"),
            Row("accordion/a.JPG", 1, "accordion"),
            Row("accordion/b.jpg", 1, "accordion"),
        )
        touch(tmp_path / "101", "zebra/1.jpg")
        with pytest.raises(UserError, match="101 holds 3 class folders, but the dataset has 2 classes"):
            read_annotations(card, tmp_path)

    def test_pets_are_named_by_their_file(self, tmp_path: Path) -> None:
        write(tmp_path / "annotations" / "trainval.txt", "Egyptian_Mau_101 1 1 1", "german_shorthaired_7 2 2 1")
        write(tmp_path / "annotations" / "test.txt", "german_shorthaired_1 2 2 1")
        rows = read_annotations(make_card("pets", ["egyptian_mau", "german_shorthaired"]), tmp_path)
        assert rows == (
            Row("Egyptian_Mau_101.jpg", 0, "egyptian_mau", "train"),
            Row("german_shorthaired_7.jpg", 1, "german_shorthaired", "train"),
            Row("german_shorthaired_1.jpg", 1, "german_shorthaired", "test"),
        )

    @pytest.mark.parametrize("tests", [1, 2])
    def test_cars_put_the_year_first(self, tmp_path: Path, tests: int) -> None:
        train = [("cars_train/00001.jpg", 1, "2012 Audi TTS Coupe"), ("cars_train/00002.jpg", 0, "2000 AM General SUV")]
        test = [(f"cars_test/0000{index}.jpg", 0, "2000 AM General SUV") for index in range(tests)]
        write_cars(tmp_path, train, test)
        rows = read_annotations(make_card("cars", ["2000 AM General SUV", "2012 Audi TTS Coupe"]), tmp_path)
        assert [row[:3] for row in rows] == train + test
        assert [row.part for row in rows] == ["train"] * 2 + ["test"] * tests

    def test_cars_without_test_labels_are_reported(self, tmp_path: Path) -> None:
        write_cars(tmp_path, [("cars_train/00001.jpg", 0, "2012 Audi TTS Coupe")], [])
        unlabelled = np.empty((1, 2), dtype=[("bbox_x1", object), ("fname", object)])
        unlabelled[0, :] = [(1, "00001.jpg"), (1, "00002.jpg")]
        savemat(tmp_path / "cars_test_annos_withlabels.mat", {"annotations": unlabelled})
        with pytest.raises(UserError, match=r"cars_test_annos_withlabels\.mat: has no labels"):
            read_annotations(make_card("cars", ["2012 Audi TTS Coupe", "another"]), tmp_path)

    def test_flowers_are_numbered_and_named_by_category(self, tmp_path: Path) -> None:
        write_flowers(tmp_path, [("image_00001.jpg", 1, "rose"), ("image_00002.jpg", 0, "pink primrose")])
        card = make_card("flowers", ["pink primrose", "rose"])
        rows = (Row("image_00001.jpg", 1, "rose"), Row("image_00002.jpg", 0, "pink primrose"))
        assert read_annotations(card, tmp_path) == rows
        write(tmp_path / "cat_to_name.json", '{"2": "rose", "1": "pink primrose"}')
        assert read_annotations(card, tmp_path) == rows
        write(tmp_path / "cat_to_name.json", '{"1": "rose", "2": "pink primrose"}')
        with pytest.raises(UserError, match=r"give 'image_00001\.jpg' label 1 and class 'pink primrose'"):
            read_annotations(card, tmp_path)

    def test_scenes_are_labelled_by_the_list_of_classes_and_named_from_the_inside_out(self, tmp_path: Path) -> None:
        write(tmp_path / "ClassName.txt", "/a/abbey", "/a/apartment_building/outdoor")
        write(tmp_path / "Training_01.txt", "/a/apartment_building/outdoor/sun_x.jpg", "/a/abbey/sun_y.jpg")
        write(tmp_path / "Testing_01.txt", "/a/abbey/sun_z.jpg")
        assert read_annotations(make_card("sun397", ["abbey", "outdoor apartment building"]), tmp_path) == (
            Row("a/apartment_building/outdoor/sun_x.jpg", 1, "outdoor apartment_building", "train"),
            Row("a/abbey/sun_y.jpg", 0, "abbey", "train"),
            Row("a/abbey/sun_z.jpg", 0, "abbey", "test"),
        )

    def test_clips_become_their_middle_frame_in_a_folder_with_underscores(self, tmp_path: Path) -> None:
        lists = tmp_path / "ucfTrainTestlist"
        write(lists / "classInd.txt", "1 HandstandPushups", "2 YoYo", end="\r\n")
        write(lists / "trainlist01.txt", "YoYo/v_YoYo_g08_c01.avi 2", end="\r\n")
        write(lists / "testlist01.txt", "HandstandPushups/v_HandStandPushups_g01_c01.avi", end="\r\n")
        assert read_annotations(make_card("ucf101", ["Handstand Pushups", "Yo Yo"]), tmp_path) == (
            Row("Yo_Yo/v_YoYo_g08_c01.jpg", 1, "Yo_Yo", "train"),
            Row("Handstand_Pushups/v_HandStandPushups_g01_c01.jpg", 0, "Handstand_Pushups", "test"),
        )

    def test_a_card_without_annotations_has_only_the_published_split(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="has no option 'annotations'"):
            read_annotations(make_card(None, ["a", "b"]), tmp_path)


class TestWrongFiles:
    CARD = make_card("pets", ["abyssinian", "beagle"])

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"annotations/trainval\.txt does not exist; a split can be made here only"):
            read_annotations(self.CARD, tmp_path)
        with pytest.raises(UserError, match=r"cannot read .*pictures"):
            read_annotations(make_card("class_folders", ["a", "b"], image_dir="pictures"), tmp_path)

    @pytest.mark.parametrize("line", ["beagle_1", "beagle_1 two 2 1", "beagle 2 2 1", "a b_1 2 2 1"])
    def test_a_strange_line_is_named(self, tmp_path: Path, line: str) -> None:
        write(tmp_path / "annotations" / "trainval.txt", "Abyssinian_1 1 1 1", "", line)
        with pytest.raises(UserError, match=r"trainval\.txt: line 3 is not as the dataset's authors write it"):
            read_annotations(self.CARD, tmp_path)

    @pytest.mark.parametrize("line", ["beagle_1 1 2 1", "beagle_1 0 2 1", "beagle_1 3 2 1", "Bombay_1 2 1 1"])
    def test_a_class_that_is_not_the_cards_is_named(self, tmp_path: Path, line: str) -> None:
        write(tmp_path / "annotations" / "trainval.txt", line)
        write(tmp_path / "annotations" / "test.txt")
        with pytest.raises(UserError, match=r"give '\w+_1\.jpg' label -?\d and class '\w+', .* another release"):
            read_annotations(self.CARD, tmp_path)

    @pytest.mark.parametrize(
        ("layout", "write_lists"),
        [
            (
                "sun397",
                lambda folder: write_sun397(folder, [("a/abbey/sun_x.jpg", 0, "")], [("a/alley/sun_x.jpg", 0, "")]),
            ),
            ("ucf101", lambda folder: write_ucf101(folder, [("A/v_A.jpg", 0, "A"), ("B/v_B.jpg", 1, "B")], [])),
        ],
    )
    def test_a_class_that_is_not_listed_is_named(
        self, tmp_path: Path, layout: str, write_lists: Callable[[Path], None]
    ) -> None:
        write_lists(tmp_path)
        if layout == "ucf101":
            write(tmp_path / "ucfTrainTestlist" / "classInd.txt", "1 A")
        with pytest.raises(UserError, match="label -1"):
            read_annotations(make_card(layout, ["abbey" if layout == "sun397" else "A", "other"]), tmp_path)

    @pytest.mark.parametrize("content", [b"", b"no MATLAB file", b"MATLAB 5.0 MAT-file".ljust(200, b"\0")])
    def test_a_damaged_matlab_file_is_named(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "imagelabels.mat").write_bytes(content)
        with pytest.raises(
            UserError, match=r"imagelabels\.mat: is damaged or is not the file of the dataset's authors"
        ):
            read_annotations(make_card("flowers", ["a", "b"]), tmp_path)

    def test_a_matlab_file_of_something_else_is_named(self, tmp_path: Path) -> None:
        savemat(tmp_path / "imagelabels.mat", {"trnid": np.arange(4)})
        with pytest.raises(UserError, match=r"imagelabels\.mat: is damaged or is not the file"):
            read_annotations(make_card("flowers", ["a", "b"]), tmp_path)
