"""The path of a user with all fifteen datasets on disk, minus size: verify, compare, leaderboards, and what is refused
when the files are not as they should be."""

import csv
import hashlib
import io
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import e2e_record
import pytest
from e2e_command import Ended, run, succeed
from e2e_inside import call, complaint
from fifteen import ELEVEN, SUITE, VARIANTS, Fifteen, write_fifteen

from promptarena.benchmark.data.cards import SPLITS, load_card
from promptarena.benchmark.data.splits import load_split

ALL = (*ELEVEN, *VARIANTS)
METHODS = ("zeroshot", "coop")
PROTOCOLS = ("base-to-novel", "cross-dataset", "domain-generalization", "few-shot")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Fifteen:
    return write_fifteen(tmp_path_factory.mktemp("data"))


@pytest.fixture
def copy(world: Fifteen, tmp_path: Path) -> Path:
    """The same files, to be damaged."""
    return shutil.copytree(world.root, tmp_path / "data")


@contextmanager
def write_protected(root: Path) -> Iterator[None]:
    """Nothing below `root` may be written, and nothing is: whoever may write all the same is found out."""
    before, modes = snapshot(root), {path: path.stat().st_mode for path in (root, *root.rglob("*"))}
    for path, mode in modes.items():
        path.chmod(mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    try:
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)
    assert snapshot(root) == before


def snapshot(root: Path) -> dict[str, tuple[int, str]]:
    """Time of change and content of everything there is; the folders' own times tell what was there for a while."""
    return {
        str(path.relative_to(root)): (
            path.stat().st_mtime_ns,
            "" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in (root, *root.rglob("*"))
    }


def verified(ended: Ended) -> dict[str, list[str]]:
    """What `datasets verify` says of each dataset, its state first, without the splits' digests."""
    assert ended.err == ""
    without_digests = re.sub(r" [0-9a-f]{12}(?=[,)])", "", ended.out)
    blocks = re.split(r"\n(?! )", without_digests.rstrip("\n"))
    return {name: state.split("\n  ") for name, _, state in (block.partition(": ") for block in blocks)}


@pytest.mark.parametrize("name", ALL)
def test_what_was_written_is_listed_in_its_order(world: Fifteen, name: str) -> None:
    written = world.datasets[name]
    card = load_card(written.card)
    assert [split for split in SPLITS if card.has_split(split)] == list(written.rows)
    for split, rows in written.rows.items():
        found = load_split(card, split)
        assert list(zip(found.keys, found.labels.tolist(), strict=True)) == [row[:2] for row in rows]
        assert found.class_names == written.class_names


def test_all_are_whole_and_left_alone(world: Fifteen, tmp_path: Path) -> None:
    with write_protected(world.root):
        ended = succeed("datasets", "verify", "--suite", world.suite, cwd=tmp_path)
    counted = {
        name: ", ".join(f"{len(rows)} {split}" for split, rows in written.rows.items())
        for name, written in world.datasets.items()
    }
    assert verified(ended) == {name: [f"whole ({counted[name]})"] for name in ALL}
    assert list(verified(ended)) == list(ALL)
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_each_damage_is_reported_with_dataset_file_and_reason_and_hides_no_other(copy: Path) -> None:
    cut = sorted((copy / "food-101" / "images" / "waffles").iterdir())[0]
    cut.write_bytes(cut.read_bytes()[:70])
    gone = sorted((copy / "ucf101" / "UCF-101-midframes" / "Yo_Yo").iterdir())[0]
    gone.unlink()
    (copy / "imagenet-adversarial" / "imagenet-a" / "n01440764").mkdir()
    v2 = copy / "imagenetv2" / "imagenetv2-matched-frequency-format-val"
    (v2 / "0").rename(v2 / "n01440764")
    split_file = copy / "eurosat" / "split_zhou_EuroSAT.json"
    split_file.write_bytes(split_file.read_bytes().replace(b"    ", b" "))
    shutil.rmtree(copy / "dtd")
    (copy / "sun397" / "split_zhou_SUN397.json").unlink()
    lost = sorted((copy / "imagenet" / "images" / "val" / "n01443537").glob("*.JPEG"))[0]
    lost.unlink()
    train_list = copy / "fgvc_aircraft" / "images_variant_train.txt"
    train_list.write_text(train_list.read_text().replace("MD-11", "MD-12", 1))
    (copy / "imagenet-rendition" / "imagenet-r").rename(copy / "imagenet-rendition" / "r")

    ended = call("datasets", "verify", "--suite", copy / f"{SUITE}.toml")
    blocks = verified(ended)
    expected = {
        "food101": [str(cut), "cannot be decoded"],
        "ucf101": ["'ucf101'", "images are not in", repr(f"Yo_Yo/{gone.name}")],
        "imagenet-a": ["'imagenet-a'", "holds the folder 'n01440764'", "no class of"],
        "imagenetv2": ["'imagenetv2'", "holds the folder 'n01440764'", "another release"],
        "eurosat": ["'eurosat'", str(split_file), "has SHA-256", "expected", "restore the file"],
        "dtd": ["'dtd'", str(copy / "dtd"), "does not exist"],
        "sun397": ["split_zhou_SUN397.json", "No such file"],
        "imagenet": ["'imagenet'", "found 23 test images", "counts 24"],
        "fgvc_aircraft": [str(train_list), "is not ID and class name", "MD-12"],
        "imagenet-r": ["'imagenet-r'", "has no imagenet-r folder", "it holds 'r'"],
    }
    assert ended.code == 2
    assert list(blocks) == list(ALL)
    for name, (state, *problems) in blocks.items():
        here = "not here" if name == "dtd" else "not whole"
        assert state.startswith(here if name in expected else "whole ("), name
        assert len(problems) == (name in expected), name
        for part in expected.get(name, ()):
            assert part in problems[0], name
    command = ("compare", copy / f"{SUITE}.toml", "--results", copy / "results", "--methods", "zeroshot")
    assert complaint(*command, "--datasets", "eurosat") == blocks["eurosat"][1]


def test_the_published_cards_refuse_what_is_not_the_published_data(world: Fifteen) -> None:
    ended = call("datasets", "verify", "--suite", "clip-15", "--root", world.root)
    blocks = verified(ended)
    assert (ended.code, list(blocks)) == (2, list(ALL))
    for name, (state, *problems) in blocks.items():
        options = load_card(name).options
        reason = "lacks the class folder"
        if "split_sha256" in options:
            reason = f"expected {options['split_sha256']}"
        if "classes" in options:
            reason = "its names are not those of"
        assert state.startswith("not whole"), name
        assert len(problems) == 1, name
        assert str(world.root / options["folder"]) in problems[0]
        assert reason in problems[0]


def test_a_plan_without_data_and_weights_says_what_is_missing_and_fetches_nothing(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(*address: object) -> None:
        raise AssertionError(f"the network was asked for: {address}")

    monkeypatch.setattr("socket.socket.connect", connect)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(here / "hub"))
    (here / "data").mkdir()
    ended = call("compare", "clip-15", "--root", "data", "--plan")
    assert (ended.code, ended.err) == (0, "")
    assert re.search("^Missing weights: .*openai.*ViT-B-16-quickgelu", ended.out, re.MULTILINE)
    assert re.findall("^  ([a-z0-9_-]+): ", ended.out, re.MULTILINE) == list(ALL)
    assert "datasets prepare --suite clip-15" in ended.out
    assert os.listdir(here) == ["data"]
    assert os.listdir(here / "data") == []


@dataclass(frozen=True)
class Arena:
    """A comparison on all fifteen, finished in `folder`."""

    world: Fifteen
    folder: Path
    ended: Ended

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def boards(self, format: str) -> str:
        """The leaderboards in a format."""
        ended = call("leaderboard", self.world.suite, "--results", self.results, "--format", format)
        assert (ended.code, ended.err) == (0, "")
        return ended.out


@pytest.fixture(scope="module")
def arena(world: Fifteen, tmp_path_factory: pytest.TempPathFactory) -> Arena:
    folder = tmp_path_factory.mktemp("elsewhere")
    with write_protected(world.root):
        ended = run("compare", world.suite, "--protocols", *PROTOCOLS, "--workers", "1", cwd=folder)
    assert (ended.code, ended.err) == (0, "")
    return Arena(world, folder, ended)


@pytest.mark.slow
def test_every_method_runs_under_every_protocol_with_both_seeds(arena: Arena) -> None:
    runs = e2e_record.runs(arena.results, suite=SUITE)
    assert {run.info.status for run in runs} == {"FINISHED"}
    seeds = {method: ("none",) if method == "zeroshot" else ("1", "2") for method in METHODS}
    trained = dict.fromkeys(("base-to-novel", "few-shot"), ELEVEN)
    expected = [
        (method, protocol, dataset, seed)
        for method, protocol in product(METHODS, PROTOCOLS)
        for dataset in trained.get(protocol, ("imagenet",))
        for seed in seeds[method]
    ]
    ran = [tuple(run.data.tags[name] for name in ("method", "protocol", "dataset", "seed")) for run in runs]
    assert sorted(ran) == sorted(expected)


@pytest.mark.slow
def test_every_test_picture_of_a_class_is_scored_among_the_classes_of_its_task(arena: Arena) -> None:
    """ImageNet-A and -R over their own names only, base and novel apart."""
    seen: set[tuple[str, str, str]] = set()
    for recorded in e2e_record.runs(arena.results, suite=SUITE):
        for score in json.loads(e2e_record.read(arena.results, recorded, "scores.json")):
            dataset, subset = score["target"]["dataset"], score["target"]["subset"]
            written = arena.world.datasets[dataset]
            base, novel = written.halves
            labels = {"base": base, "novel": novel, "all": range(len(written.class_names))}[subset]
            assert score["total"] == [written.tested(range(label, label + 1)) for label in labels]
            seen.add((recorded.data.tags["protocol"], dataset, subset))
    assert seen == {
        *product(("base-to-novel",), ELEVEN, ("base", "novel")),
        *product(("cross-dataset", "few-shot"), ELEVEN, ("all",)),
        *product(("domain-generalization",), ("imagenet", *VARIANTS), ("all",)),
    }


@pytest.mark.slow
def test_no_figure_is_missing(arena: Arena) -> None:
    every = json.loads(arena.boards("json"))
    boards = [board for board in every if not board["part"]]
    assert [board["protocol"] for board in boards] == list(PROTOCOLS)
    assert [board["protocol"] for board in every if board["part"] == "statistics"] == list(PROTOCOLS)
    for board in boards:
        assert all(" ends below zeroshot " in note for note in board["notes"])  # four steps on random weights
        assert board["own_splits"] == []
        for table in board["tables"]:
            assert {row["method"] for row in table["rows"]} == set(METHODS)
            for row in table["rows"] if table["key"] != "cost" else ():
                for column, figure in row["figures"].items():
                    where = board["protocol"], table["key"], row["method"], column
                    assert figure["value"] is not None, where
                    assert figure["filled"] == figure["wanted"], where
                    assert figure["n"] == (1 if row["method"] == "zeroshot" else 2), where


@pytest.mark.slow
def test_the_tables_are_in_the_fields_order(arena: Arena) -> None:
    rows = list(csv.DictReader(io.StringIO(arena.boards("csv"))))
    tables = {protocol: [row["table"] for row in rows if row["protocol"] == protocol] for protocol in PROTOCOLS}
    columns = {protocol: [row["column"] for row in rows if row["protocol"] == protocol] for protocol in PROTOCOLS}
    for protocol in ("base-to-novel", "few-shot"):
        assert list(dict.fromkeys(tables[protocol])) == ["average", *ELEVEN, "cost", "ranks"]
    for protocol, datasets in (("cross-dataset", ELEVEN), ("domain-generalization", ("imagenet", *VARIANTS))):
        expected = [*(f"{name}_pct" for name in datasets), "average_pct"]
        assert list(dict.fromkeys(columns[protocol]))[: len(expected)] == expected
    titles = [load_card(name).title for name in ELEVEN]
    page = arena.boards("md")
    first = page[: page.index("Cross-dataset")]
    places = [first.index(f"{title}\n") for title in titles]
    assert places == sorted(places)


@pytest.mark.slow
def test_the_same_command_runs_nothing_again(arena: Arena) -> None:
    before = [run.info.run_id for run in e2e_record.runs(arena.results, suite=SUITE)]
    command = ("compare", arena.world.suite, "--protocols", *PROTOCOLS, "--workers", "1")
    again = succeed(*command, cwd=arena.folder)
    assert f"{len(before)} already done, 0 to run" in again.out
    assert again.table_text() == arena.ended.table_text()
    assert [run.info.run_id for run in e2e_record.runs(arena.results, suite=SUITE)] == before
