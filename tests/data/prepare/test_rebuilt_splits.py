"""Splits made from the authors' files: small ones in the real formats, and the published splits rebuilt."""

import json
import random
from collections import Counter
from pathlib import Path

import pytest
from authors_files import (
    classes,
    make_card,
    touch,
)
from hypothesis import given
from hypothesis import strategies as st

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.keys import digest
from promptarena.benchmark.data.cards import SPLITS, Card
from promptarena.benchmark.data.prepare.annotations import Part, Row, read_annotations
from promptarena.benchmark.data.prepare.rebuilt_splits import divide, own_split, write_own_split
from promptarena.benchmark.data.readers.split_json import SplitFile


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

    def test_a_folder_that_cannot_be_written_is_reported(self, tmp_path: Path) -> None:
        card = self.make(tmp_path / "small")
        (tmp_path / "own_splits").write_bytes(b"a file in the way")
        with pytest.raises(UserError, match=r"cannot write .*split_own_small\.json"):
            write_own_split(card, tmp_path / "small", tmp_path / "own_splits" / "split_own_small.json")
        assert {path.name for path in tmp_path.iterdir()} == {"small", "own_splits"}
