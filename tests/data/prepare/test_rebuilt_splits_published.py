"""The published splits, rebuilt from the authors' files."""

import json
import lzma
import os
import random
from collections import Counter
from pathlib import Path

import pytest
from authors_files import (
    PublishedRows,
    touch,
    write,
    write_cars,
    write_flowers,
    write_sun397,
    write_ucf101,
)

from promptarena.benchmark.data.cards import SPLITS, Card, load_card
from promptarena.benchmark.data.class_names import readable
from promptarena.benchmark.data.prepare.annotations import Part, Row, action, breed, read_annotations, scene, year_first
from promptarena.benchmark.data.prepare.rebuilt_splits import own_split, rebuild_split
from promptarena.benchmark.data.readers.split_json import SplitFile

SHARED = Path(os.environ.get("PROMPTARENA_SHARED", Path(__file__).resolve().parents[4] / "shared"))
PUBLISHED = SHARED / "data" / "splits"
needs_published = pytest.mark.skipif(
    not PUBLISHED.is_dir(), reason=f"the published split files are not in {PUBLISHED}; set PROMPTARENA_SHARED"
)
DIVIDED_BY_LISTS = ("oxford_pets", "stanford_cars", "oxford_flowers", "sun397", "ucf101")
DIVIDED_BY_FOLDERS = ("caltech101", "dtd", "eurosat", "food101")
WITHOUT_TEST_PART = (*DIVIDED_BY_FOLDERS, "oxford_flowers")


def write_pets(folder: Path, train: PublishedRows, test: PublishedRows) -> None:
    for file, rows in (("trainval.txt", train), ("test.txt", test)):
        lines = (f"{Path(path).stem} {label + 1} {1 + path[0].islower()} 1" for path, label, _ in rows)
        write(folder / "annotations" / file, *lines)


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
