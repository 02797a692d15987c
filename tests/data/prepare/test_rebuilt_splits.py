"""Splits made from the authors' files: small ones in the real formats, and the published splits rebuilt."""

import json
import lzma
import os
import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import savemat

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.keys import digest
from promptarena.benchmark.data.cards import SPLITS, Card, load_card
from promptarena.benchmark.data.class_names import readable
from promptarena.benchmark.data.prepare.annotations import Part, Row, action, breed, read_annotations, scene, year_first
from promptarena.benchmark.data.prepare.rebuilt_splits import divide, own_split, rebuild_split, write_own_split
from promptarena.benchmark.data.readers.split_json import SplitFile

SHARED = Path(os.environ.get("PROMPTARENA_SHARED", Path(__file__).resolve().parents[4] / "shared"))
PUBLISHED = SHARED / "data" / "splits"
needs_published = pytest.mark.skipif(
    not PUBLISHED.is_dir(), reason=f"the published split files are not in {PUBLISHED}; set PROMPTARENA_SHARED"
)
DIVIDED_BY_LISTS = ("oxford_pets", "stanford_cars", "oxford_flowers", "sun397", "ucf101")
DIVIDED_BY_FOLDERS = ("caltech101", "dtd", "eurosat", "food101")
WITHOUT_TEST_PART = (*DIVIDED_BY_FOLDERS, "oxford_flowers")

PublishedRows = list[tuple[str, int, str]]


def make_card(
    annotations: str | None, names: Sequence[str], counts: dict[str, int] | None = None, **options: Any
) -> Card:
    return Card.model_validate(
        {
            "name": "small",
            "title": "Small",
            "reader": "split_json",
            "template": "a photo of a {}.",
            "class_names": list(names),
            "licence": "none",
            "citation": "none",
            "description": "none",
            "counts": counts or {},
            "options": {"folder": "small", "split_file": "split.json", "annotations": annotations} | options,
        }
    )


def write(path: Path, *lines: str, end: str = "\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(line + end for line in lines).encode())


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def write_pets(folder: Path, train: PublishedRows, test: PublishedRows) -> None:
    for file, rows in (("trainval.txt", train), ("test.txt", test)):
        lines = (f"{Path(path).stem} {label + 1} {1 + path[0].islower()} 1" for path, label, _ in rows)
        write(folder / "annotations" / file, *lines)


def write_cars(folder: Path, train: PublishedRows, test: PublishedRows) -> None:
    names = dict(sorted((label, f"{name[5:]} {name[:4]}") for _, label, name in train))
    (folder / "devkit").mkdir(parents=True)
    cells = np.empty((1, len(names)), dtype=object)
    cells[0, :] = list(names.values())
    savemat(folder / "devkit" / "cars_meta.mat", {"class_names": cells})
    for file, rows in (("devkit/cars_train_annos.mat", train), ("cars_test_annos_withlabels.mat", test)):
        structures = np.empty((1, len(rows)), dtype=[(field, object) for field in ("bbox_x1", "class", "fname")])
        for index, (path, label, _) in enumerate(rows):
            structures[0, index] = (39, np.uint8(label + 1), Path(path).name)
        savemat(folder / file, {"annotations": structures})


def write_flowers(folder: Path, rows: PublishedRows) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    savemat(folder / "imagelabels.mat", {"labels": np.array([[label + 1 for _, label, _ in rows]], dtype=np.uint8)})


def write_sun397(folder: Path, train: PublishedRows, test: PublishedRows) -> None:
    classes = dict(sorted((label, str(Path("/") / Path(path).parent)) for path, label, _ in train))
    write(folder / "ClassName.txt", *classes.values())
    write(folder / "Training_01.txt", *(f"/{path}" for path, _, _ in train))
    write(folder / "Testing_01.txt", *(f"/{path}" for path, _, _ in test))


def write_ucf101(folder: Path, train: PublishedRows, test: PublishedRows) -> None:
    lists = folder / "ucfTrainTestlist"
    names = dict(sorted((label, name.replace("_", "")) for _, label, name in train))
    write(lists / "classInd.txt", *(f"{label + 1} {name}" for label, name in names.items()), "", end="\r\n")
    for file, rows, labelled in (("trainlist01.txt", train, True), ("testlist01.txt", test, False)):
        lines = (f"{names[label]}/{Path(path).stem}.avi" + f" {label + 1}" * labelled for path, label, _ in rows)
        write(lists / file, *lines, end="\r\n")


classes = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 12)), max_size=6)


def official_rows(sizes: list[tuple[int, int]]) -> list[Row]:
    parts: tuple[Part, ...] = ("train", "test")
    return [
        Row(f"{part}/{label}/{index:03}.jpg", label, f"name {label}", part)
        for label, (train, test) in enumerate(sizes)
        for part, size in zip(parts, (train, test), strict=True)
        for index in range(size)
    ]


class TestDividing:
    @given(classes, st.booleans())
    def test_every_picture_goes_to_one_part_with_its_label(self, sizes: list[tuple[int, int]], official: bool) -> None:
        rows = official_rows(sizes) if official else [row._replace(part=None) for row in official_rows(sizes)]
        split = divide(rows)
        assert Counter(row for name in SPLITS for row in split.rows(name)) == Counter(row[:3] for row in rows)

    @given(classes)
    def test_an_undivided_class_gives_50_20_30_percent(self, sizes: list[tuple[int, int]]) -> None:
        split = divide(row._replace(part=None) for row in official_rows(sizes))
        counts = {name: Counter(label for _, label, _ in split.rows(name)) for name in SPLITS}
        for label, (train, test) in enumerate(sizes):
            size = train + test
            assert counts["train"][label] == round(0.5 * size)
            assert counts["val"][label] == round(0.2 * size)
            assert counts["test"][label] == size - round(0.5 * size) - round(0.2 * size)

    @given(classes)
    def test_an_official_test_part_is_kept_and_a_fifth_of_train_becomes_val(self, sizes: list[tuple[int, int]]) -> None:
        rows = official_rows(sizes)
        split = divide(rows)
        assert list(split.test) == [row[:3] for row in rows if row.part == "test"]
        counts = Counter(label for _, label, _ in split.val)
        for label, (train, _) in enumerate(sizes):
            assert counts[label] == round(0.2 * train)

    @given(classes, st.booleans(), st.randoms(use_true_random=False))
    def test_an_own_split_does_not_depend_on_the_order_of_the_rows(
        self, sizes: list[tuple[int, int]], official: bool, stream: random.Random
    ) -> None:
        rows = official_rows(sizes) if official else [row._replace(part=None) for row in official_rows(sizes)]
        shuffled = stream.sample(rows, len(rows))
        assert own_split(shuffled) == own_split(rows)

    def test_classes_keep_the_order_of_their_first_row(self) -> None:
        rows = [Row(f"{index}.jpg", label, str(label)) for index, label in enumerate([2, 0, 1] * 10)]
        assert list(dict.fromkeys(label for _, label, _ in divide(rows).train)) == [2, 0, 1]
        assert list(dict.fromkeys(label for _, label, _ in own_split(rows).train)) == [0, 1, 2]

    def test_the_division_is_the_same_on_every_machine(self) -> None:
        sizes = [(20, 5), (7, 3), (13, 1)]
        undivided = [row._replace(part=None) for row in official_rows(sizes)]
        assert [digest(own_split(rows).model_dump())[:16] for rows in (official_rows(sizes), undivided)] == [
            "f0a13bf8bcf25b9c",
            "a3a1d2a72ec18d89",
        ]


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

    def test_cars_without_test_labels_are_told(self, tmp_path: Path) -> None:
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


class TestWriting:
    def make(self, folder: Path, pictures: int = 10) -> Card:
        touch(folder, *(f"{name}/{index}.jpg" for name in ("a", "b") for index in range(pictures)))
        return make_card("class_folders", ["a", "b"], {"train": 10, "val": 4, "test": 6})

    def test_the_file_is_in_the_published_format(self, tmp_path: Path) -> None:
        card = self.make(tmp_path / "small")
        out = tmp_path / "own_splits" / "split_own_small.json"
        write_own_split(card, tmp_path / "small", out)
        content = out.read_bytes()
        split = SplitFile.model_validate_json(content)
        assert split == own_split(read_annotations(card, tmp_path / "small"))
        assert content == json.dumps(json.loads(content), indent=4).encode()
        assert {name: len(split.rows(name)) for name in SPLITS} == card.counts
        assert [path.name for path in out.parent.iterdir()] == [out.name]

    def test_the_file_is_the_same_whenever_it_is_written(self, tmp_path: Path) -> None:
        card = self.make(tmp_path / "small")
        for name in ("1.json", "2.json"):
            write_own_split(card, tmp_path / "small", tmp_path / name)
        assert (tmp_path / "1.json").read_bytes() == (tmp_path / "2.json").read_bytes()

    def test_missing_pictures_leave_what_was_there(self, tmp_path: Path) -> None:
        card = self.make(tmp_path / "small", pictures=9)
        out = tmp_path / "split_own_small.json"
        out.write_bytes(b"older")
        with pytest.raises(UserError, match=r"has 8 train images, but .* counts 10; complete the files"):
            write_own_split(card, tmp_path / "small", out)
        assert out.read_bytes() == b"older"

    def test_a_folder_that_cannot_be_written_is_told(self, tmp_path: Path) -> None:
        card = self.make(tmp_path / "small")
        (tmp_path / "own_splits").write_bytes(b"a file in the way")
        with pytest.raises(UserError, match=r"cannot write .*split_own_small\.json"):
            write_own_split(card, tmp_path / "small", tmp_path / "own_splits" / "split_own_small.json")
        assert {path.name for path in tmp_path.iterdir()} == {"small", "own_splits"}


def published(card: Card) -> tuple[bytes, SplitFile]:
    content = lzma.decompress((PUBLISHED / f"{card.options['split_file']}.xz").read_bytes())
    return content, SplitFile.model_validate_json(content)


def class_sizes(split: SplitFile) -> list[Counter[int]]:
    return [Counter(label for _, label, _ in split.rows(name)) for name in SPLITS]


def unshuffled(split: SplitFile) -> PublishedRows:
    """The rows that a shuffle with seed 1, class by class, brought into the order val, train."""
    stream = random.Random(1)
    listed: PublishedRows = []
    for label in dict.fromkeys(row[1] for row in split.train):
        shuffled = [row for row in split.val + split.train if row[1] == label]
        places = list(range(len(shuffled)))
        stream.shuffle(places)
        listed += [row for _, row in sorted(zip(places, shuffled, strict=True))]
    return listed


def as_the_authors_list(split: SplitFile, folder: Path, name: str) -> None:
    """The authors' files, made from the published split and what is known of the order in them."""

    def by_class(row: tuple[str, int, str]) -> tuple[int, str]:
        return row[1], row[0].replace(".jpg", "jpg")

    train, test = split.train + split.val, list(split.test)
    match name:
        case "oxford_pets":
            write_pets(folder, sorted(train, key=by_class), sorted(test, key=by_class))
        case "stanford_cars":
            write_cars(folder, sorted(train), sorted(test))
        case "oxford_flowers":
            write_flowers(folder, sorted((*train, *test)))
        case "sun397":
            write_sun397(folder, unshuffled(split), test)
        case "ucf101":
            write_ucf101(folder, sorted(train, key=by_class), sorted(test, key=by_class))


@needs_published
class TestPublished:
    @pytest.mark.parametrize("name", DIVIDED_BY_LISTS)
    def test_the_published_file_is_rebuilt_byte_for_byte(self, tmp_path: Path, name: str) -> None:
        content, split = published(load_card(name))
        as_the_authors_list(split, tmp_path, name)
        assert rebuild_split(load_card(name), tmp_path) == content

    def test_another_files_checksum_is_not_met(self, tmp_path: Path) -> None:
        card = load_card("oxford_flowers")
        as_the_authors_list(published(card)[1], tmp_path, card.name)
        other = card.model_copy(update={"options": card.options | {"split_sha256": "0" * 64}})
        assert rebuild_split(other, tmp_path) is None

    def test_the_order_found_for_sun397_is_that_of_the_authors_list(self) -> None:
        listed = [path for path, _, _ in unshuffled(published(load_card("sun397"))[1])]
        assert listed[:3] == [
            f"a/abbey/sun_{key}.jpg" for key in ("aqswjsnjlrfzzhiz", "aaoktempcmudsvna", "arxtvfkkycnqhfkj")
        ]
        assert listed[50:52] == [f"a/airplane_cabin/sun_{key}.jpg" for key in ("blczihbhbntqccux", "ayzaayjpoknjvpds")]

    @pytest.mark.parametrize("name", [*DIVIDED_BY_LISTS, *DIVIDED_BY_FOLDERS])
    def test_an_own_split_has_the_published_counts(self, name: str) -> None:
        split = published(load_card(name))[1]
        part: dict[str, Part] = {} if name in WITHOUT_TEST_PART else {"train": "train", "val": "train", "test": "test"}
        own = own_split(Row(*row, part.get(listed)) for listed in SPLITS for row in split.rows(listed))
        assert class_sizes(own) == class_sizes(split)
        assert not part or set(own.test) == set(split.test)

    @pytest.mark.parametrize("name", DIVIDED_BY_FOLDERS)
    def test_class_folders_give_the_published_labels_and_names(self, tmp_path: Path, name: str) -> None:
        card = load_card(name)
        one_each = {row[1]: row for row in published(card)[1].test}
        touch(tmp_path / card.options["image_dir"], *(path for path, _, _ in one_each.values()))
        touch(tmp_path / card.options["image_dir"], *(f"{dropped}/1.jpg" for dropped in card.options.get("drop", ())))
        found = [(row.path, row.label, row.name) for row in read_annotations(card, tmp_path)]
        assert found == [
            (path, label, readable(called)) for path, label, called in sorted(one_each.values(), key=by_label)
        ]

    def test_names_made_from_paths_are_the_published_ones(self) -> None:
        def rows(name: str) -> list[tuple[str, int, str]]:
            split = published(load_card(name))[1]
            return [*split.train, *split.val, *split.test]

        assert all(breed(Path(path).stem) == name for path, _, name in rows("oxford_pets"))
        assert all(scene(f"/{Path(path).parent}") == name for path, _, name in rows("sun397"))
        for path, _, name in rows("ucf101"):
            assert action(name.replace("_", "")) == name == Path(path).parent.name
        for _, _, name in rows("stanford_cars"):
            year, _, model = name.partition(" ")
            assert 1990 < int(year) < 2014
            assert year_first(f"{model} {year}") == name

    def test_flower_names_are_those_of_the_categories(self) -> None:
        names = json.loads(lzma.decompress((PUBLISHED / "cat_to_name.json.xz").read_bytes()))
        assert tuple(names[str(label + 1)] for label in range(102)) == load_card("oxford_flowers").class_names


def by_label(row: tuple[str, int, str]) -> int:
    return row[1]
