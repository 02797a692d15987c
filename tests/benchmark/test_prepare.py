"""Preparing datasets, against a faulty server: what ends up where, what is said, and that nothing is lost or harmed."""

import errno
import hashlib
import io
import json
import os
import re
import shutil
import signal
import sys
import traceback
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from faulty_server import FaultyServer, faulty_server
from ilsvrc import archives as imagenet_archives

from promptarena.benchmark.cards import Card, list_cards, load_card
from promptarena.benchmark.errors import UserError
from promptarena.benchmark.prepare import ORIGIN_FILE, Prepared, prepare
from promptarena.benchmark.sources import browser_address
from promptarena.benchmark.splits import load_split
from promptarena.benchmark.steps import Step
from promptarena.benchmark.transfers import Patience, TransferError

QUICK = Patience(connect_seconds=2.0, read_seconds=2.0, attempts=2, backoff_seconds=0.001)
PICTURES = {
    f"{name}/{number}.jpg": f"{name} {number}".encode() * 1000 for name in ("jay", "heron") for number in range(3)
}
ROWS = {
    "train": [["heron/0.jpg", 1, "heron"], ["jay/0.jpg", 0, "jay"]],
    "val": [["heron/1.jpg", 1, "heron"]],
    "test": [["jay/1.jpg", 0, "jay"], ["heron/2.jpg", 1, "heron"]],
}
SPLIT = json.dumps(ROWS).encode()
OWN_ROWS = ROWS | {"train": ROWS["train"][::-1]}

DEAD = "http://127.0.0.1:9/split.json"
CARD = """
name = "birds"
title = "Birds"
reader = "split_json"
template = "a photo of a {}."
licence = ""
citation = ""
description = ""
[counts]
train = 2
val = 1
test = 2
[options]
folder = "bird-set"
image_dir = "images"
split_file = "split_birds.json"
"""


def zipped(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return content.getvalue()


ARCHIVE = zipped({f"birds/{name}": content for name, content in PICTURES.items()})
MIRROR = zipped(
    {f"whatever/images/{name}": content for name, content in PICTURES.items()} | {"whatever/split_birds.json": SPLIT}
)


def md5(content: bytes) -> str:
    return f"md5:{hashlib.md5(content).hexdigest()}"


class World:
    """A folder of cards that stands for the package's, a server, and a data root."""

    def __init__(self, folder: Path, server: FaultyServer) -> None:
        self.server = server
        self.cards = folder / "cards"
        self.cards.mkdir()
        self.root = folder / "data"
        self.steps: list[Step] = []

    def card(self, *sources: str, name: str = "birds", text: str = CARD) -> Card:
        path = self.cards / f"{name}.toml"
        path.write_text(text.replace('"birds"', f'"{name}"') + "".join(sources), encoding="utf-8")
        return load_card(path)

    def official(self, archive: str | None = None, split: str | None = None, **fields: str) -> str:
        """A source of two files, at the addresses given or at the server's own."""
        archive = self.server.add("/birds.zip", ARCHIVE) if archive is None else archive
        split = self.server.add("/split.json", SPLIT) if split is None else split
        return source(
            "the authors",
            f'name = "birds.zip"\nurls = ["{archive}"]\nchecksum = "{md5(ARCHIVE)}"\ntake = "birds"\nto = "images"',
            f'name = "split.json"\nurls = ["{split}"]\nto = "split_birds.json"\nsplit = true',
        )

    def mirror(self, content: bytes = MIRROR, url: str | None = None) -> str:
        url = self.server.add("/mirror.zip", content) if url is None else url
        return source("a mirror", f'name = "birds-mirror.zip"\nurls = ["{url}"]\ntake = "*"')

    def prepare(self, card: Card, **options: Any) -> Prepared:
        return prepare(card, self.root, patience=QUICK, progress=self.steps.append, **options)

    @property
    def place(self) -> Path:
        return self.root / "bird-set"

    @property
    def downloads(self) -> Path:
        return self.root / "downloads"

    def assert_whole(self, card: Card) -> None:
        assert tree(self.place / "images") == PICTURES
        assert [load_split(card, split, self.root).keys for split in ("train", "val", "test")] == [
            tuple(row[0] for row in ROWS[split]) for split in ("train", "val", "test")
        ]

    def assert_tidy(self) -> None:
        assert sorted(path.name for path in self.root.iterdir()) == [".staging", "bird-set", "downloads"]
        assert list(self.downloads.iterdir()) == []
        assert [path.name for path in (self.root / ".staging").iterdir()] == ["birds.lock"]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr("promptarena.benchmark.cards._CARDS", tmp_path / "cards")
    with faulty_server() as server:
        yield World(tmp_path, server)


def source(title: str, *files: str, build: str = "") -> str:
    return f'\n[[sources]]\ntitle = "{title}"\n{build}\n' + "".join(f"[[sources.files]]\n{file}\n" for file in files)


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def snapshot(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Every file and folder with its mode, time of change and bytes."""
    paths = [folder, *sorted(folder.rglob("*"))]
    return {
        str(path): (path.stat().st_mode, path.stat().st_mtime_ns, b"" if path.is_dir() else path.read_bytes())
        for path in paths
    }


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def one_line_each(prepared: Prepared) -> str:
    assert not [line for line in prepared.lines if "\n" in line or "Traceback" in line]
    return "\n".join(prepared.lines)


class TestFromSources:
    def test_a_dataset_is_fetched_laid_out_checked_and_nothing_is_left_over(self, world: World) -> None:
        card = world.card(world.official())
        prepared = world.prepare(card)
        assert (prepared.state, prepared.missing) == ("prepared", ())
        assert prepared.lines == (f"birds: prepared in {world.place} from the authors",)
        world.assert_whole(card)
        world.assert_tidy()

    def test_the_folder_says_where_it_came_from(self, world: World) -> None:
        world.prepare(world.card(world.official()))
        told = (world.place / ORIGIN_FILE).read_text()
        assert told.startswith("prepared by promptarena from: the authors\n")
        assert f"birds.zip\t{md5(ARCHIVE)}\t{world.server.url}/birds.zip\n" in told

    def test_the_second_time_nothing_is_asked_and_nothing_changes(self, world: World) -> None:
        card = world.card(world.official())
        world.prepare(card)
        before, asked = snapshot(world.root), len(world.server.requests)
        prepared = world.prepare(card)
        assert prepared.lines == (f"birds: {world.place} is whole",)
        assert prepared.state == "already there"
        assert (snapshot(world.root), len(world.server.requests)) == (before, asked)

    def test_the_next_source_serves_when_a_file_cannot_be_had(self, world: World) -> None:
        card = world.card(world.official(archive=f"{world.server.url}/gone"), world.mirror())
        prepared = world.prepare(card)
        assert prepared.lines == (
            f"birds: prepared in {world.place} from a mirror",
            "  the authors: birds.zip: 127.0.0.1: HTTP 404 Not Found",
        )
        world.assert_whole(card)
        world.assert_tidy()

    def test_a_dead_split_is_found_out_before_pictures_are_fetched(self, world: World) -> None:
        world.prepare(world.card(world.official(split=f"{world.server.url}/gone"), world.mirror()))
        assert world.server.seen("/birds.zip") == []

    def test_a_file_that_must_be_put_there_is_missed_before_anything_is_fetched(self, world: World) -> None:
        by_hand = source(
            "by hand",
            f'name = "a.zip"\nurls = ["{world.server.add("/a.zip", ARCHIVE)}"]',
            'name = "b.zip"\nby_hand = "ask the authors"',
        )
        assert world.prepare(world.card(by_hand)).state == "incomplete"
        assert world.server.requests == []

    def test_contents_that_do_not_fit_the_card_are_not_put_in_place(self, world: World) -> None:
        few = zipped({"x/images/jay/0.jpg": b"1", "x/split_birds.json": SPLIT})
        other = json.dumps(ROWS | {"val": []}).encode()
        miscounted = zipped({f"x/images/{n}": c for n, c in PICTURES.items()} | {"x/split_birds.json": other})
        missing = "1 of 2 pictures are not in bird-set/images, 'heron/0.jpg' first"
        for content, reason in ((few, missing), (miscounted, "found 0 val images")):
            card = world.card(world.mirror(content))
            told = one_line_each(world.prepare(card))
            assert f"a mirror: unpacked, but dataset 'birds': {reason}" in told
            assert "birds-mirror.zip is kept, delete it to fetch it anew" in told
            assert str(world.root / ".staging") not in told
            assert not world.place.exists()
            (world.downloads / "birds-mirror.zip").unlink()
        world.mirror()
        assert world.prepare(card).state == "prepared"
        world.assert_tidy()

    def test_a_damaged_archive_without_a_checksum_is_deleted_and_fetched_anew(self, world: World) -> None:
        card = world.card(world.mirror(MIRROR[:2000]))
        told = one_line_each(world.prepare(card))
        assert "birds-mirror.zip: it is damaged or cut off" in told
        assert "the download is deleted, the same command fetches it anew" in told
        world.mirror()
        assert world.prepare(card).state == "prepared"

    def test_a_damaged_archive_put_there_by_hand_is_kept(self, world: World) -> None:
        write(world.downloads, {"birds-mirror.zip": MIRROR[:2000]})
        told = one_line_each(world.prepare(world.card(world.mirror())))
        assert "birds-mirror.zip: it is damaged or cut off" in told
        assert "deleted" not in told
        assert tree(world.downloads) == {"birds-mirror.zip": MIRROR[:2000]}

    def test_an_archive_that_reaches_out_writes_nothing(self, world: World, tmp_path: Path) -> None:
        card = world.card(world.mirror(zipped({"x/a": b"1", "x/../../../planted": b"2"})))
        assert "lies outside of it" in one_line_each(world.prepare(card))
        assert not list(tmp_path.rglob("planted"))
        assert not world.place.exists()

    def test_progress_names_what_goes_on(self, world: World) -> None:
        world.prepare(world.card(world.official()))
        kinds = [(step.kind, step.name) for step in world.steps]
        assert list(dict.fromkeys(kinds)) == [
            ("download", "split.json"),
            ("download", "birds.zip"),
            ("check", "birds.zip"),
            ("unpack", "birds.zip"),
        ]


class TestByHand:
    def test_what_to_fetch_and_where_to_put_it_is_said_once_and_then_it_goes_on(self, world: World) -> None:
        cars = source(
            "the authors (by hand)",
            f'name = "birds.zip"\nchecksum = "{md5(ARCHIVE)}"\ntake = "birds"\nto = "images"\n'
            'by_hand = "links are\\n  dead"',
            f'name = "split.json"\nurls = ["{world.server.url}/gone", "{DEAD}"]\nto = "split_birds.json"\nsplit = true',
        )
        again = source("a copy", f'name = "split.json"\nurls = ["{world.server.url}/gone", "{DEAD}"]')
        card = world.card(cars, again)
        prepared = world.prepare(card)
        split = f"split.json -> {world.downloads}/split.json: from {world.server.url}/gone or "
        assert prepared.lines[:2] == (
            "birds: not prepared",
            "  the authors (by hand): birds.zip: no address serves it, it has to be put there by hand",
        )
        assert prepared.lines[2:] == (
            "  a copy: split.json: 127.0.0.1: HTTP 404 Not Found; 127.0.0.1: cannot be reached",
            "  by hand, for the authors (by hand):",
            f"    birds.zip ({md5(ARCHIVE)}) -> {world.downloads}/birds.zip: links are dead",
            f"    {split}{DEAD}",
            "  or, for a copy:",
            "    split.json, as above",
            "  then run the same command again",
            "  or, for want of the split file, --own-split: its figures do not compare with published ones",
        )
        assert [entry.place for entry in prepared.missing] == [
            world.downloads / "birds.zip",
            world.downloads / "split.json",
        ]
        write(world.downloads, {"birds.zip": ARCHIVE, "split.json": SPLIT})
        assert world.prepare(card).state == "prepared"
        world.assert_whole(card)
        assert tree(world.downloads) == {"birds.zip": ARCHIVE, "split.json": SPLIT}

    def test_a_wrong_file_is_named_kept_and_still_missing(self, world: World) -> None:
        write(world.downloads, {"birds.zip": b"wrong"})
        prepared = world.prepare(world.card(world.official()))
        told = one_line_each(prepared)
        assert f"{world.downloads}/birds.zip has the wrong checksum ({md5(b'wrong')}, expected {md5(ARCHIVE)})" in told
        assert [entry.file.name for entry in prepared.missing] == ["birds.zip"]
        assert (world.downloads / "birds.zip").read_bytes() == b"wrong"

    def test_a_later_source_goes_first_when_all_its_files_are_there(self, world: World) -> None:
        write(world.downloads, {"birds-mirror.zip": MIRROR})
        prepared = world.prepare(world.card(world.official(), world.mirror()))
        assert prepared.lines[0].endswith("from a mirror")
        assert world.server.requests == []
        assert tree(world.downloads) == {"birds-mirror.zip": MIRROR}

    def test_imagenet_is_built_from_three_archives_put_there_by_hand(self, world: World) -> None:
        text = CARD[: CARD.index("[counts]")].replace("split_json", "folder") + (
            '[counts]\ntrain = 6\ntest = 4\n[options]\nfolder = "imagenet"\n'
            'splits = { train = "images/train", test = "images/val" }\n'
        )
        names = ("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar", "ILSVRC2012_devkit_t12.tar.gz")
        files = [f'name = "{name}"\nby_hand = "register at https://image-net.org"' for name in names]
        card = world.card(source("image-net.org", *files, build='build = "imagenet"'), text=text, name="imagenet")
        prepared = world.prepare(card)
        for name in names:
            assert f"    {name} -> {world.downloads}/{name}: register at https://image-net.org" in prepared.lines
        imagenet_archives(world.downloads)
        before = tree(world.downloads)
        assert world.prepare(card).state == "prepared"
        assert len(load_split(card, "train", world.root)) == 6
        assert load_split(card, "test", world.root).labels.tolist() == [0, 0, 1, 2]
        assert tree(world.downloads) == before

    def test_every_dataset_of_the_package_says_what_to_fetch(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def offline(*arguments: Any, **options: Any) -> Any:
            raise TransferError("cannot be reached")

        monkeypatch.setattr("promptarena.benchmark.fetch.transfer", offline)
        for card in filter(lambda card: card.sources, map(load_card, list_cards())):
            prepared = prepare(card, tmp_path)
            told = one_line_each(prepared)
            assert prepared.state == "incomplete"
            assert prepared.lines[0] == f"{card.name}: not prepared"
            for file in {file.name: file for entry in card.sources for file in entry.files}.values():
                assert f"{tmp_path}/downloads/{file.name}: " in told
                assert all(browser_address(url) in told for url in file.urls)
                assert " ".join((file.by_hand or "").split()) in told
        assert not tree(tmp_path / "downloads")


class TestAFolderThatIsThere:
    """Never written into, whatever is wrong with it."""

    def run(self, world: World, card: Card, **options: Any) -> Prepared:
        before = snapshot(world.place)
        folders = [world.place, *(path for path in world.place.rglob("*") if path.is_dir())]
        for folder in folders:
            folder.chmod(0o555)
        try:
            prepared = world.prepare(card, **options)
        finally:
            for folder in folders:
                folder.chmod(0o755)
        assert snapshot(world.place) == before
        assert world.server.requests == []
        return prepared

    @pytest.fixture
    def card(self, world: World) -> Card:
        write(world.place / "images", PICTURES)
        write(world.place, {"split_birds.json": SPLIT, "annotations/notes.mat": b"1"})
        return world.card(world.official())

    def test_a_whole_one_is_used(self, world: World, card: Card) -> None:
        prepared = self.run(world, card)
        assert (prepared.state, prepared.lines) == ("already there", (f"birds: {world.place} is whole",))
        assert [path.name for path in world.root.iterdir()] == ["bird-set"]

    def test_archives_put_there_by_hand_stay(self, world: World, card: Card) -> None:
        write(world.downloads, {"birds.zip": ARCHIVE})
        assert self.run(world, card).state == "already there"
        assert tree(world.downloads) == {"birds.zip": ARCHIVE}

    def test_a_missing_split_is_told_with_its_addresses_and_place(self, world: World, card: Card) -> None:
        (world.place / "split_birds.json").unlink()
        prepared = self.run(world, card)
        told = one_line_each(prepared)
        assert prepared.state == "incomplete"
        assert (
            f"birds: {world.place} is used as it is, nothing is written into it; but dataset 'birds': split file"
            in told
        )
        assert f"  split.json -> {world.place}/split_birds.json: from {world.server.url}/split.json" in told
        assert [entry.place for entry in prepared.missing] == [world.place / "split_birds.json"]

    def test_missing_pictures_are_told(self, world: World, card: Card) -> None:
        (world.place / "images" / "jay" / "1.jpg").unlink()
        told = one_line_each(self.run(world, card))
        assert "1 of 2 pictures are not in" in told
        assert "complete it by hand, or move it away and run the same command again to fetch it anew" in told

    def test_another_split_than_the_cards_is_told(self, world: World, card: Card) -> None:
        write(world.place, {"split_birds.json": json.dumps(ROWS | {"val": []}).encode()})
        assert "found 0 val images" in one_line_each(self.run(world, card))

    def test_an_own_split_lies_outside_of_it(self, world: World, card: Card, official: dict[str, Any]) -> None:
        (world.place / "split_birds.json").unlink()
        prepared = self.run(world, card, own_split=True)
        assert prepared.state == "already there"
        assert prepared.lines[0].endswith("with a split made here: its figures do not compare with published ones")
        assert json.loads((world.root / "own_splits" / "split_own_birds.json").read_text()) == OWN_ROWS
        assert load_split(card, "train", world.root).own_split

    def test_an_own_split_is_not_made_where_the_published_one_lies(
        self, world: World, card: Card, official: dict[str, Any]
    ) -> None:
        assert self.run(world, card, own_split=True).state == "already there"
        (world.place / "images" / "jay" / "1.jpg").unlink()
        assert self.run(world, card, own_split=True).state == "incomplete"
        assert official["folders"] == []
        assert not (world.root / "own_splits").exists()


@pytest.fixture
def official(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Stands in for the module that divides datasets; `rebuilt` is what it makes of the published split."""
    asked: dict[str, Any] = {"folders": [], "rebuilt": None}

    def write_own_split(card: Card, folder: Path, out: Path) -> None:
        asked["folders"].append(folder)
        out.write_text(json.dumps(OWN_ROWS), encoding="utf-8")

    stand_in = SimpleNamespace(write_own_split=write_own_split, rebuild_split=lambda card, folder: asked["rebuilt"])
    monkeypatch.setitem(sys.modules, "promptarena.benchmark.official", stand_in)
    return asked


@pytest.mark.usefixtures("official")
class TestOwnSplits:
    def test_without_leave_a_dead_split_stops_the_source(self, world: World) -> None:
        card = world.card(world.official(split=f"{world.server.url}/gone"))
        prepared = world.prepare(card)
        assert prepared.state == "incomplete"
        assert [entry.file.name for entry in prepared.missing] == ["birds.zip", "split.json"]

    def test_with_leave_one_is_made_and_kept_apart(self, world: World) -> None:
        card = world.card(world.official(split=f"{world.server.url}/gone"))
        prepared = world.prepare(card, own_split=True)
        assert prepared.state == "prepared"
        assert prepared.lines[0].endswith(
            "the authors, with a split made here: its figures do not compare with published ones"
        )
        assert sorted(path.name for path in world.place.iterdir()) == ["images", ORIGIN_FILE]
        assert json.loads((world.root / "own_splits" / "split_own_birds.json").read_text()) == OWN_ROWS
        assert load_split(card, "train", world.root).own_split
        assert world.prepare(card).state == "already there"

    def test_the_published_one_is_preferred_wherever_it_can_be_had(
        self, world: World, official: dict[str, Any]
    ) -> None:
        card = world.card(world.official(split=f"{world.server.url}/gone"), world.mirror())
        assert world.prepare(card, own_split=True).lines[0].endswith("from a mirror")
        assert official["folders"] == []
        world.assert_whole(card)

    def test_the_published_one_is_preferred_when_it_can_be_made_anew(
        self, world: World, official: dict[str, Any]
    ) -> None:
        official["rebuilt"] = SPLIT
        card = world.card(world.official(split=f"{world.server.url}/gone"))
        assert world.prepare(card, own_split=True).lines[0].endswith("from the authors")
        assert (world.place / "split_birds.json").read_bytes() == SPLIT
        assert not (world.root / "own_splits").exists()
        world.assert_whole(card)

    def test_when_it_cannot_be_made_nothing_is_put_in_place(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(card: Card, folder: Path, out: Path) -> None:
            raise UserError("no annotations")

        monkeypatch.setattr(sys.modules["promptarena.benchmark.official"], "write_own_split", fail)
        dead = world.mirror(url=f"{world.server.url}/gone-too")
        told = one_line_each(
            world.prepare(world.card(world.official(split=f"{world.server.url}/gone"), dead), own_split=True)
        )
        assert "the authors: unpacked, but no annotations" in told
        assert "a mirror: birds-mirror.zip: 127.0.0.1: HTTP 404 Not Found" in told
        assert not world.place.exists()


class TestFullDisk:
    def test_it_is_told_in_one_line_and_downloads_are_kept(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        card = world.card(world.official())
        with monkeypatch.context() as patched:
            patched.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=10))
            prepared = world.prepare(card)
        assert prepared.state == "incomplete"
        (line,) = prepared.lines
        assert re.fullmatch(
            rf"birds: the disk of {world.downloads} is full: \d+ bytes are needed, 10 bytes are free; "
            "downloads are kept: free space and run the same command again",
            line,
        )
        assert world.prepare(card).state == "prepared"

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
    def test_while_unpacking_the_half_made_is_removed_and_the_download_kept(
        self, world: World, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        card = world.card(world.official())
        opened = Path.open

        def open_full(path: Path, *arguments: Any, **options: Any) -> Any:
            if path.name == "2.jpg" and arguments[:1] == ("wb",):
                raise OSError(number, os.strerror(number), str(path))
            return opened(path, *arguments, **options)

        with monkeypatch.context() as patched:
            patched.setattr(Path, "open", open_full)
            prepared = world.prepare(card)
        assert re.match(r"birds: the disk of .* is full; downloads are kept", prepared.lines[0])
        assert not (world.root / ".staging" / "birds").exists()
        assert sorted(tree(world.downloads)) == [
            ".birds.zip/fetched.json",
            ".birds.zip/note.json",
            ".split.json/fetched.json",
            ".split.json/note.json",
            "birds.zip",
            "split.json",
        ]
        asked = len(world.server.requests)
        assert world.prepare(card).state == "prepared"
        assert len(world.server.requests) == asked
        world.assert_tidy()


class TestStops:
    """In another process, which shares nothing with this one but the disk and the server."""

    def test_killed_at_any_operation_on_files_it_leaves_nothing_half_made_and_goes_on(self, world: World) -> None:
        card = world.card(world.official())
        world.server.pages["/birds.zip"].drops = 0
        for number in range(1, 10_000, 2):
            shutil.rmtree(world.root, ignore_errors=True)
            status = in_child(lambda number=number: killed_at(number, world, card))
            if world.place.exists():
                world.assert_whole(card)
            assert world.prepare(card).state in ("prepared", "already there")
            world.assert_whole(card)
            world.assert_tidy()
            if status == 0:
                break
            assert status == -signal.SIGKILL
        assert number > 50

    def test_stopped_by_the_user_it_goes_on_with_what_it_had(self, world: World) -> None:
        def interrupt(step: Step) -> None:
            if step.kind == "unpack":
                raise KeyboardInterrupt

        card = world.card(world.official())
        with pytest.raises(KeyboardInterrupt):
            prepare(card, world.root, patience=QUICK, progress=interrupt)
        asked = len(world.server.requests)
        assert world.prepare(card).state == "prepared"
        assert len(world.server.requests) == asked
        world.assert_tidy()

    def test_several_processes_at_once_do_the_work_once(self, world: World) -> None:
        card = world.card(world.official())
        world.server.pages["/birds.zip"].seconds = 0.3
        waited = world.root.parent / "waited"

        def told(step: Step) -> None:
            if step.kind == "wait":
                waited.touch()

        children = [
            start_child(lambda: code_of(prepare(card, world.root, patience=QUICK, progress=told))) for _ in range(3)
        ]
        assert sorted(map(end_child, children)) == [10, 20, 20]
        assert len(world.server.seen("/birds.zip")) == 1
        assert waited.exists()
        world.assert_whole(card)
        world.assert_tidy()


def code_of(prepared: Prepared) -> int:
    return {"prepared": 10, "already there": 20, "incomplete": 30}[prepared.state]


def killed_at(number: int, world: World, card: Card) -> int:
    """Prepares, but is killed at its `number`-th operation on files below the root."""
    left = [number]
    root = str(world.root)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event.split(".")[0] in ("open", "os", "shutil") and any(root in str(value) for value in arguments[:2]):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    return 0 if world.prepare(card).state == "prepared" else 1


def start_child(work: Callable[[], int]) -> int:
    child = os.fork()
    if child == 0:
        code = 99
        try:
            code = work()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return child


def end_child(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def in_child(work: Callable[[], int]) -> int:
    return end_child(start_child(work))


class TestWhatIsNotPrepared:
    def test_a_drawn_dataset_needs_nothing(self, tmp_path: Path) -> None:
        prepared = prepare(load_card("food"), tmp_path / "none")
        assert (prepared.state, prepared.lines) == (
            "already there",
            ("food: drawn by the program, nothing to prepare",),
        )
        assert not (tmp_path / "none").exists()

    def test_a_users_own_card_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "birds.toml").write_text(CARD, encoding="utf-8")
        with pytest.raises(UserError, match=r"birds\.toml: only datasets that come with the package are prepared"):
            prepare(load_card(tmp_path / "birds.toml"), tmp_path)

    def test_a_card_without_sources_says_where_to_put_the_files(self, world: World) -> None:
        prepared = world.prepare(world.card())
        assert prepared.lines == (
            f"birds: {world.cards / 'birds.toml'} knows no source; put the files into {world.place} by hand",
        )

    def test_a_root_that_cannot_be_written_is_told_in_one_line(self, world: World) -> None:
        world.root.write_bytes(b"a file")
        prepared = world.prepare(world.card(world.official()))
        assert prepared.state == "incomplete"
        assert re.fullmatch(r"birds: cannot read or write .*/data.*: (Not a directory|File exists)", prepared.lines[0])
