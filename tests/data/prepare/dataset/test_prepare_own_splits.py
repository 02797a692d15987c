import json
import sys
from pathlib import Path
from typing import Any

import pytest
from preparing import OWN_ROWS, SPLIT, World, one_line_each

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data.cards import Card
from promptarena.benchmark.data.prepare.dataset import ORIGIN_FILE
from promptarena.benchmark.data.splits import load_split


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

        monkeypatch.setattr(sys.modules["promptarena.benchmark.data.prepare.rebuilt_splits"], "write_own_split", fail)
        dead = world.mirror(url=f"{world.server.url}/gone-too")
        lines = one_line_each(
            world.prepare(world.card(world.official(split=f"{world.server.url}/gone"), dead), own_split=True)
        )
        assert "the authors: unpacked, but no annotations" in lines
        assert "a mirror: birds-mirror.zip: 127.0.0.1: HTTP 404 Not Found" in lines
        assert not world.place.exists()
