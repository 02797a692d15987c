"""Our few-shot draws from the public datasets are the published ones, picture by picture."""

import hashlib
import itertools
import json
import lzma
import os
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from promptarena.benchmark.data.cards import load_card
from promptarena.benchmark.data.few_shot import VAL_SHOTS, draw_few_shot
from promptarena.benchmark.data.readers.listing import Listing
from promptarena.benchmark.data.readers.registry import list_split
from promptarena.benchmark.data.readers.split_json import SplitFile

SHARED = Path(os.environ.get("PROMPTARENA_SHARED", Path(__file__).resolve().parents[3] / "shared"))
PUBLISHED = SHARED / "data" / "splits"
needs_published = pytest.mark.skipif(
    not PUBLISHED.is_dir(), reason=f"the published few-shot lists are not in {PUBLISHED}; set PROMPTARENA_SHARED"
)
DRAWS = tuple(itertools.product((1, 2, 4, 8, 16), (1, 2, 3)))
SPLIT_FILES = (
    "caltech101",
    "dtd",
    "eurosat",
    "food101",
    "oxford_flowers",
    "oxford_pets",
    "stanford_cars",
    "sun397",
    "ucf101",
)

Row = tuple[str, int, str]
Rows = list[Row]
Draws = dict[tuple[int, int], dict[str, Rows]]
States = dict[tuple[int, int], Any]


def unpacked(name: str) -> bytes:
    return lzma.decompress((PUBLISHED / f"{name}.xz").read_bytes())


def published_draws(name: str) -> Draws:
    """By shots and seed: the rows of train and val."""
    draws = json.loads(unpacked(f"fewshot_{name}.json"))
    return {
        (shots, seed): {part: [tuple(row) for row in rows] for part, rows in draws[f"shot_{shots}-seed_{seed}"].items()}
        for shots, seed in DRAWS
    }


@needs_published
@pytest.mark.parametrize("name", SPLIT_FILES)
def test_draws_from_the_cards_split_file_are_the_published_ones_in_order(name: str) -> None:
    options = load_card(name).options
    content = unpacked(options["split_file"])
    assert hashlib.sha256(content).hexdigest() == options["split_sha256"]
    split = SplitFile.model_validate_json(content)
    for (shots, seed), expected in published_draws(name).items():
        draw = draw_few_shot([row[1] for row in split.train], [row[1] for row in split.val], shots, seed)
        assert [split.train[row] for row in draw.train] == expected["train"], (shots, seed)
        assert [split.val[row] for row in draw.val] == expected["val"], (shots, seed)


class Recovered:
    """What the published draws tell of FGVCAircraft's train list, images_variant_train.txt, which is not at hand.

    A draw from n pictures takes the same positions whatever they are called, so a class of n pictures fits only if all
    fifteen draws put the same picture at the same position, and no picture at two. Nothing else is assumed of the list.
    Shown by it: exactly one list fits, up to the 115 pictures that no draw took; it has the archive's sizes and, where
    they are known, its first lines; through our reader it gives the published draws. Not shown: the order in which
    validation pictures are drawn, because four of a class tell too little of their list.
    """

    def __init__(self, draws: Draws) -> None:
        self.sizes: list[list[int]] = []
        self.rows: Rows = []
        streams: States = {(shots, seed): random.Random(seed).getstate() for shots, seed in DRAWS}
        labels = list(dict.fromkeys(row[1] for row in draws[1, 1]["train"]))
        for label in labels:
            drawn = {key: [row for row in parts["train"] if row[1] == label] for key, parts in draws.items()}
            fits = {size: fit for size in range(16, 70) if (fit := positions(size, drawn, streams))}
            self.sizes.append(list(fits))
            size, (at, streams) = next(iter(fits.items()))
            name = drawn[1, 1][0][2]
            self.rows += [at.get(place, (f"unknown-{label}-{place}.jpg", label, name)) for place in range(size)]


def positions(size: int, drawn: dict[tuple[int, int], Rows], streams: States) -> tuple[dict[int, Row], States] | None:
    """Which picture stands where in a class of this size, and the random streams behind it; None if it does not fit."""
    at: dict[int, Row] = {}
    after: States = {}
    for key, rows in drawn.items():
        stream = random.Random()
        stream.setstate(streams[key])
        for place, row in zip(stream.sample(range(size), len(rows)), rows, strict=True):
            if at.setdefault(place, row) != row:
                return None
        after[key] = stream.getstate()
    return (at, after) if len(set(at.values())) == len(at) else None


@pytest.fixture(scope="module")
def aircraft() -> Draws:
    return published_draws("fgvc_aircraft")


@pytest.fixture(scope="module")
def recovered(aircraft: Draws) -> Recovered:
    return Recovered(aircraft)


@needs_published
class TestAircraft:
    def test_one_train_list_fits_all_draws(self, recovered: Recovered) -> None:
        assert all(len(sizes) == 1 for sizes in recovered.sizes)
        assert {size for sizes in recovered.sizes for size in sizes} == {33, 34}
        assert len(recovered.rows) == load_card("fgvc_aircraft").counts["train"]
        assert sum(row[0].startswith("unknown") for row in recovered.rows) == 115

    def test_its_beginning_is_that_of_the_archives_list(self, recovered: Recovered) -> None:
        assert [row[0] for row in recovered.rows[:3]] == ["1025794.jpg", "1340192.jpg", "0056978.jpg"]
        assert next(row[0] for row in recovered.rows if row[2] == "727-200") == "1019011.jpg"

    def test_draws_through_the_reader_are_the_published_ones_in_order(
        self, tmp_path: Path, recovered: Recovered, aircraft: Draws
    ) -> None:
        card = load_card("fgvc_aircraft")
        folder = tmp_path / "fgvc_aircraft"
        (folder / "images").mkdir(parents=True)
        (folder / "variants.txt").write_text("".join(f"{name}\n" for name in card.class_names), encoding="utf-8")
        lines = (f"{Path(path).stem} {name}\n" for path, _, name in recovered.rows)
        (folder / "images_variant_train.txt").write_text("".join(lines), encoding="utf-8")
        for path, _, _ in recovered.rows:
            (folder / "images" / path).touch()
        train = list_split(card, "train", tmp_path)
        for (shots, seed), expected in aircraft.items():
            drawn = draw_few_shot(train.labels, (), shots, seed).train
            assert named(train, drawn) == expected["train"], (shots, seed)

    def test_validation_is_four_per_class_at_most_and_apart_from_train(
        self, recovered: Recovered, aircraft: Draws
    ) -> None:
        train = {row[0] for row in recovered.rows}
        for (shots, _), parts in aircraft.items():
            assert [row[1] for row in parts["val"]] == sorted(list(range(100)) * min(shots, VAL_SHOTS))
            assert not train & {row[0] for row in parts["val"]}


def named(listing: Listing, rows: Iterable[int]) -> Rows:
    return [(listing.keys[row], listing.labels[row], listing.class_names[listing.labels[row]]) for row in rows]


def test_imagenet_is_drawn_from_sorted_names_whatever_the_order_of_the_disk(tmp_path: Path) -> None:
    card = load_card("imagenet")
    names = [f"images/train/{wnid}/{wnid}_{index}.JPEG" for wnid in card.class_folders for index in (7, 42, 1003)]
    for name in random.Random(0).sample(names, len(names)):
        (tmp_path / "imagenet" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "imagenet" / name).touch()
    train = list_split(card, "train", tmp_path)
    draw = draw_few_shot(train.labels, (), 2, 1)
    stream = random.Random(1)
    expected = [
        key
        for wnid in card.class_folders
        for key in stream.sample(sorted(name for name in names if f"/{wnid}/" in name), 2)
    ]
    assert [train.keys[row] for row in draw.train] == expected
    assert len(draw.val) == 0
    assert not card.has_split("val")
