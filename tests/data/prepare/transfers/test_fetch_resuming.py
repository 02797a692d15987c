"""Downloads that go on where they broke off."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from faulty_server import FaultyServer, Page
from fetching import CHILD, CONTENT, OTHER, begin, file, md5

from promptarena.benchmark.data.prepare.downloads import Downloads


class TestResuming:
    def test_a_later_process_asks_for_the_rest_only(self, server: FaultyServer, downloads: Downloads) -> None:
        needed = begin(downloads, server, 1_000_000)
        assert downloads.fetch(needed).read_bytes() == CONTENT
        assert [request.range for request in server.requests] == ["bytes=1000000-"]
        assert server.requests[0].headers["if-range"] == server.pages["/a.zip"].etag
        assert server.sent["/a.zip"] == len(CONTENT) - 1_000_000

    def test_a_changed_file_is_fetched_from_its_beginning(self, server: FaultyServer, downloads: Downloads) -> None:
        begin(downloads, server, 1_000_000)
        server.pages["/a.zip"].content = OTHER
        assert downloads.fetch(file(f"{server.url}/a.zip", content=OTHER)).read_bytes() == OTHER
        assert [request.range for request in server.requests] == ["bytes=1000000-"]

    def test_a_file_that_changes_between_two_pieces(self, server: FaultyServer, downloads: Downloads) -> None:
        def change(page: Page) -> None:
            page.content = CONTENT if not server.seen("/a.zip")[1:] else OTHER

        url = server.add("/a.zip", CONTENT, drops=1, drop_after=1_000_000, before=change)
        assert downloads.fetch(file(url, content=None)).read_bytes() == OTHER

    @pytest.mark.parametrize("ranges", ["refused", "unsatisfiable", "wrong"])
    def test_a_server_without_ranges_gives_it_anew(
        self, server: FaultyServer, downloads: Downloads, ranges: str
    ) -> None:
        needed = begin(downloads, server, 1_000_000, ranges=ranges)
        assert downloads.fetch(needed).read_bytes() == CONTENT
        assert server.sent["/a.zip"] >= len(CONTENT)

    def test_a_server_that_ignores_the_condition_cannot_mix_two_files(
        self, server: FaultyServer, downloads: Downloads
    ) -> None:
        begin(downloads, server, 1_000_000, ranges="unconditional")
        server.pages["/a.zip"].content = OTHER
        assert downloads.fetch(file(f"{server.url}/a.zip", content=None)).read_bytes() == OTHER

    def test_without_validators_pieces_are_joined_only_under_a_checksum(
        self, server: FaultyServer, downloads: Downloads
    ) -> None:
        needed = begin(downloads, server, 1_000_000, validators=False)
        assert downloads.fetch(needed).read_bytes() == CONTENT
        assert [request.range for request in server.requests] == ["bytes=1000000-"]
        downloads.discard(needed)
        begin(downloads, server, 1_000_000, validators=False)
        server.pages["/a.zip"].content = OTHER
        assert downloads.fetch(file(f"{server.url}/a.zip", content=None)).read_bytes() == OTHER
        assert [request.range for request in server.requests] == [None]

    def test_pieces_of_two_files_are_noticed_by_the_checksum_and_fetched_anew(
        self, server: FaultyServer, downloads: Downloads
    ) -> None:
        begin(downloads, server, 1_000_000, validators=False)
        server.pages["/a.zip"].content = OTHER
        assert downloads.fetch(file(f"{server.url}/a.zip", content=OTHER)).read_bytes() == OTHER
        assert [request.range for request in server.requests] == ["bytes=1000000-", None]

    def test_a_weak_etag_is_not_relied_upon(self, server: FaultyServer, downloads: Downloads) -> None:
        needed = begin(downloads, server, 1_000_000, weak=True)
        assert downloads.fetch(needed).read_bytes() == CONTENT
        assert server.requests[0].headers["if-range"] == "Mon, 01 Jan 2024 00:00:00 GMT"

    def test_a_server_that_gives_less_than_asked_for_is_asked_again(
        self, server: FaultyServer, downloads: Downloads
    ) -> None:
        needed = begin(downloads, server, 1_000_000, ranges="short")
        assert downloads.fetch(needed).read_bytes() == CONTENT
        assert [request.range for request in server.requests] == ["bytes=1000000-", "bytes=2100000-"]

    def test_the_address_that_was_begun_is_gone_on_with(self, server: FaultyServer, downloads: Downloads) -> None:
        begun = begin(downloads, server, 1_000_000)
        first = server.add("/first", CONTENT)
        assert downloads.fetch(file(first, *begun.urls)).read_bytes() == CONTENT
        assert [(request.path, request.range) for request in server.requests] == [("/a.zip", "bytes=1000000-")]

    def test_bytes_of_another_address_are_not_mixed_in(self, server: FaultyServer, downloads: Downloads) -> None:
        begin(downloads, server, 1_000_000, weak=True)
        assert downloads.fetch(file(server.add("/b", OTHER, weak=True), content=None)).read_bytes() == OTHER
        assert [request.range for request in server.requests] == [None]

    @pytest.mark.parametrize("note", ["", "{", '{"url": 1}'])
    def test_bytes_of_unknown_origin_are_not_used(self, server: FaultyServer, downloads: Downloads, note: str) -> None:
        needed = begin(downloads, server, 1_000_000)
        for path in (downloads.folder / ".a.zip").glob("*.json"):
            path.write_text(note)
        assert downloads.fetch(needed).read_bytes() == CONTENT
        assert [request.range for request in server.requests] == [None]

    def test_killed_at_any_moment_it_goes_on(self, server: FaultyServer, downloads: Downloads) -> None:
        url = server.add("/a.zip", CONTENT, seconds=5.0)
        command = [sys.executable, "-c", CHILD, str(downloads.folder), url, md5(CONTENT)]
        child = subprocess.Popen(command, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"})
        deadline = time.monotonic() + 20
        while _largest(downloads.folder) < 100_000 and time.monotonic() < deadline:
            time.sleep(0.005)
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert not (downloads.folder / "a.zip").exists()
        server.pages["/a.zip"].seconds = 0.0
        assert downloads.fetch(file(url)).read_bytes() == CONTENT
        first, second = server.seen("/a.zip")
        assert first.range is None
        assert int((second.range or "bytes=0-")[6:-1]) > 0


def _largest(folder: Path) -> int:
    """The bytes of the largest file."""
    return max((path.stat().st_size for path in folder.rglob("*") if path.is_file()), default=0)
