import json
import re
from pathlib import Path

import pytest
from preparing import (
    ARCHIVE,
    CARD,
    MIRROR,
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
    zipped,
)

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data.cards import load_card
from promptarena.benchmark.data.prepare.dataset import ORIGIN_FILE, prepare


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
        origin = (world.place / ORIGIN_FILE).read_text()
        assert origin.startswith("prepared by promptarena from: the authors\n")
        assert f"birds.zip\t{md5(ARCHIVE)}\t{world.server.url}/birds.zip\n" in origin

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
        missing = "1 of 2 images are not in bird-set/images, 'heron/0.jpg' first"
        for content, reason in ((few, missing), (miscounted, "found 0 val images")):
            card = world.card(world.mirror(content))
            lines = one_line_each(world.prepare(card))
            assert f"a mirror: unpacked, but dataset 'birds': {reason}" in lines
            assert "birds-mirror.zip is kept, delete it to fetch it anew" in lines
            assert str(world.root / ".staging") not in lines
            assert not world.place.exists()
            (world.downloads / "birds-mirror.zip").unlink()
        world.mirror()
        assert world.prepare(card).state == "prepared"
        world.assert_tidy()

    def test_a_damaged_archive_without_a_checksum_is_deleted_and_fetched_anew(self, world: World) -> None:
        card = world.card(world.mirror(MIRROR[:2000]))
        lines = one_line_each(world.prepare(card))
        assert "birds-mirror.zip: it is damaged or cut off" in lines
        assert "the download is deleted, the same command fetches it anew" in lines
        world.mirror()
        assert world.prepare(card).state == "prepared"

    def test_a_damaged_archive_put_there_by_hand_is_kept(self, world: World) -> None:
        write(world.downloads, {"birds-mirror.zip": MIRROR[:2000]})
        lines = one_line_each(world.prepare(world.card(world.mirror())))
        assert "birds-mirror.zip: it is damaged or cut off" in lines
        assert "deleted" not in lines
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

    def test_a_root_that_cannot_be_written_is_reported_in_one_line(self, world: World) -> None:
        world.root.write_bytes(b"a file")
        prepared = world.prepare(world.card(world.official()))
        assert prepared.state == "incomplete"
        assert re.fullmatch(r"birds: cannot read or write .*/data.*: (Not a directory|File exists)", prepared.lines[0])
