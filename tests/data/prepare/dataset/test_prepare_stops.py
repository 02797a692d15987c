import errno
import os
import re
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from preparing import QUICK, World, code_of, end_child, in_child, killed_at, start_child, tree

from promptarena.benchmark.data.prepare.dataset import prepare
from promptarena.benchmark.data.prepare.progress import Step


class TestFullDisk:
    def test_it_is_reported_in_one_line_and_downloads_are_kept(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
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
            prepare(card, world.root, retries=QUICK, progress=interrupt)
        asked = len(world.server.requests)
        assert world.prepare(card).state == "prepared"
        assert len(world.server.requests) == asked
        world.assert_tidy()

    def test_several_processes_at_once_do_the_work_once(self, world: World) -> None:
        card = world.card(world.official())
        world.server.pages["/birds.zip"].seconds = 0.3
        waited = world.root.parent / "waited"

        def report(step: Step) -> None:
            if step.kind == "wait":
                waited.touch()

        children = [
            start_child(lambda: code_of(prepare(card, world.root, retries=QUICK, progress=report))) for _ in range(3)
        ]
        assert sorted(map(end_child, children)) == [10, 20, 20]
        assert len(world.server.seen("/birds.zip")) == 1
        assert waited.exists()
        world.assert_whole(card)
        world.assert_tidy()
