"""Few-shot draws: the published lists, and what must hold for any dataset."""

import itertools
import json
import lzma
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptarena.benchmark.core.subsets import base_classes
from promptarena.benchmark.data.few_shot import VAL_SHOTS, draw_few_shot, restrict

SHARED = Path(os.environ.get("PROMPTARENA_SHARED", Path(__file__).resolve().parents[3] / "shared"))
PUBLISHED = SHARED / "data" / "splits"
needs_published = pytest.mark.skipif(
    not PUBLISHED.is_dir(), reason=f"the published few-shot lists are not in {PUBLISHED}; set PROMPTARENA_SHARED"
)
SPLIT_FILES = {
    "caltech101": "Caltech101",
    "dtd": "DescribableTextures",
    "eurosat": "EuroSAT",
    "food101": "Food101",
    "oxford_flowers": "OxfordFlowers",
    "oxford_pets": "OxfordPets",
    "stanford_cars": "StanfordCars",
    "sun397": "SUN397",
    "ucf101": "UCF101",
}
SHOTS = (1, 2, 4, 8, 16)
SEEDS = (1, 2, 3)

labels_lists = st.lists(st.integers(0, 7), max_size=60)
shots = st.integers(1, 6)
seeds = st.integers(0, 2**32)


def read_published(name: str) -> Any:
    with lzma.open(PUBLISHED / f"{name}.json.xz", "rt", encoding="utf-8") as stream:
        return json.load(stream)


@needs_published
@pytest.mark.parametrize("dataset", SPLIT_FILES)
def test_equals_the_published_lists_in_order(dataset: str) -> None:
    split = read_published(f"split_zhou_{SPLIT_FILES[dataset]}")
    published = read_published(f"fewshot_{dataset}")
    train, val = split["train"], split["val"]
    for k, seed in itertools.product(SHOTS, SEEDS):
        draw = draw_few_shot([row[1] for row in train], [row[1] for row in val], k, seed)
        expected = published[f"shot_{k}-seed_{seed}"]
        assert [train[row] for row in draw.train] == expected["train"], (k, seed)
        assert [val[row] for row in draw.val] == expected["val"], (k, seed)


@needs_published
def test_the_published_aircraft_lists_fit_one_train_list() -> None:
    """FGVCAircraft has no split file, but its three 16-shot draws must come from the same 3,334 images.

    Class by class there must be exactly one size for which the positions that three seeds draw name the same files.
    """
    published = read_published("fewshot_fgvc_aircraft")
    files = {seed: [row[0] for row in published[f"shot_16-seed_{seed}"]["train"]] for seed in SEEDS}
    labels: list[int] = []
    for label in range(100):
        fitting = [size for size in (33, 34) if _fits(labels, label, size, files)]
        assert len(fitting) == 1, label
        labels += [label] * fitting[0]
    assert len(labels) == 3334


def _fits(labels: list[int], label: int, size: int, files: dict[int, list[str]]) -> bool:
    file_at: dict[int, str] = {}
    for seed in SEEDS:
        drawn = draw_few_shot(labels + [label] * size, [], 16, seed).train[label * 16 :]
        named = files[seed][label * 16 : (label + 1) * 16]
        if any(file_at.setdefault(row, file) != file for row, file in zip(drawn.tolist(), named, strict=True)):
            return False
    return len(set(file_at.values())) == len(file_at)


@given(labels_lists, labels_lists, shots, seeds)
def test_each_class_gives_k_different_images_or_all(train: list[int], val: list[int], k: int, seed: int) -> None:
    draw = draw_few_shot(train, val, k, seed)
    for rows, labels, wanted in ((draw.train, train, k), (draw.val, val, min(k, VAL_SHOTS))):
        assert len(set(rows.tolist())) == len(rows)
        drawn = [labels[row] for row in rows]
        for label in set(labels):
            assert drawn.count(label) == min(wanted, labels.count(label))


@given(labels_lists, labels_lists, shots, seeds)
def test_classes_follow_their_first_appearance(train: list[int], val: list[int], k: int, seed: int) -> None:
    drawn = [train[row] for row in draw_few_shot(train, val, k, seed).train]
    assert list(dict.fromkeys(drawn)) == list(dict.fromkeys(train))


@given(labels_lists, labels_lists, labels_lists, shots, seeds)
def test_the_train_draw_ignores_the_val_list(
    train: list[int], val: list[int], other: list[int], k: int, seed: int
) -> None:
    one, two = draw_few_shot(train, val, k, seed), draw_few_shot(train, other, k, seed)
    np.testing.assert_array_equal(one.train, two.train)


@given(labels_lists, labels_lists, shots, seeds)
def test_global_random_state_is_neither_read_nor_moved(train: list[int], val: list[int], k: int, seed: int) -> None:
    random.seed(0)
    state = random.getstate()
    one = draw_few_shot(train, val, k, seed)
    assert random.getstate() == state
    random.seed(1)
    two = draw_few_shot(np.array(train, dtype=np.int64), np.array(val, dtype=np.int64), k, seed)
    np.testing.assert_array_equal(one.train, two.train)
    np.testing.assert_array_equal(one.val, two.val)


def test_seed_zero_is_a_seed_like_any_other() -> None:
    labels = [0] * 50
    zero, one = draw_few_shot(labels, [], 8, 0), draw_few_shot(labels, [], 8, 1)
    assert zero.train.tolist() == draw_few_shot(labels, [], 8, 0).train.tolist()
    assert zero.train.tolist() != one.train.tolist()


@given(labels_lists, shots, seeds)
def test_base_training_images_are_part_of_the_all_class_draw(train: list[int], k: int, seed: int) -> None:
    draw = draw_few_shot(train, [], k, seed)
    kept = restrict(np.array(train, dtype=np.int64)[draw.train], "base", 8)
    base_rows = draw.train[kept.rows]
    assert set(base_rows.tolist()) <= set(draw.train.tolist())
    assert all(train[row] in base_classes(8) for row in base_rows)


@given(labels_lists.filter(bool))
def test_base_and_novel_rows_partition_the_list(train: list[int]) -> None:
    labels = np.array(train, dtype=np.int64)
    parts = [restrict(labels, subset, 8) for subset in ("base", "novel")]
    assert sorted(np.concatenate([part.rows for part in parts]).tolist()) == list(range(len(train)))
    np.testing.assert_array_equal(restrict(labels, "all", 8).labels, labels)


@given(st.integers(2, 40))
def test_labels_of_each_subset_count_from_zero_in_ascending_order(classes: int) -> None:
    labels = np.arange(classes, dtype=np.int64)
    for subset in ("base", "novel"):
        kept = restrict(labels, subset, classes)
        assert kept.labels.tolist() == list(range(len(kept.rows)))
        assert kept.rows.tolist() == sorted(kept.rows.tolist())
