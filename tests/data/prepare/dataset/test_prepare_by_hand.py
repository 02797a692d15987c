import json
from pathlib import Path
from typing import Any

import pytest
from ilsvrc import archives as imagenet_archives
from preparing import (
    ARCHIVE,
    CARD,
    DEAD,
    MIRROR,
    OWN_ROWS,
    PICTURES,
    ROWS,
    SPLIT,
    World,
    md5,
    one_line_each,
    snapshot,
    source,
    tree,
    write,
)

from promptarena.benchmark.data.cards import Card, list_cards, load_card
from promptarena.benchmark.data.prepare.dataset import Prepared, prepare
from promptarena.benchmark.data.prepare.transfers import TransferError
from promptarena.benchmark.data.sources import browser_address
from promptarena.benchmark.data.splits import load_split


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
        lines = one_line_each(prepared)
        assert f"{world.downloads}/birds.zip has the wrong checksum ({md5(b'wrong')}, expected {md5(ARCHIVE)})" in lines
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

        monkeypatch.setattr("promptarena.benchmark.data.prepare.downloads.transfer", offline)
        for card in filter(lambda card: card.sources, map(load_card, list_cards())):
            prepared = prepare(card, tmp_path)
            lines = one_line_each(prepared)
            assert prepared.state == "incomplete"
            assert prepared.lines[0] == f"{card.name}: not prepared"
            for file in {file.name: file for entry in card.sources for file in entry.files}.values():
                assert f"{tmp_path}/downloads/{file.name}: " in lines
                assert all(browser_address(url) in lines for url in file.urls)
                assert " ".join((file.by_hand or "").split()) in lines
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

    def test_a_missing_split_is_reported_with_its_addresses_and_place(self, world: World, card: Card) -> None:
        (world.place / "split_birds.json").unlink()
        prepared = self.run(world, card)
        lines = one_line_each(prepared)
        assert prepared.state == "incomplete"
        assert (
            f"birds: {world.place} is used as it is, nothing is written into it; but dataset 'birds': split file"
            in lines
        )
        assert f"  split.json -> {world.place}/split_birds.json: from {world.server.url}/split.json" in lines
        assert [entry.place for entry in prepared.missing] == [world.place / "split_birds.json"]

    def test_missing_pictures_are_reported(self, world: World, card: Card) -> None:
        (world.place / "images" / "jay" / "1.jpg").unlink()
        lines = one_line_each(self.run(world, card))
        assert "1 of 2 images are not in" in lines
        assert "complete it by hand, or move it away and run the same command again to fetch it anew" in lines

    def test_another_split_than_the_cards_is_reported(self, world: World, card: Card) -> None:
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
