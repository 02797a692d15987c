"""Fetching from honest and from faulty servers."""

import hashlib
import random
import time
from pathlib import Path

import pytest
from faulty_server import FaultyServer
from fetching import CONTENT, OTHER, QUICK, file, md5

from promptarena.benchmark.data.prepare.downloads import Downloads, FetchError
from promptarena.benchmark.data.prepare.progress import Step, unheard
from promptarena.benchmark.data.prepare.transfers import RetryPolicy
from promptarena.benchmark.data.sources import SourceFile


class TestAnHonestServer:
    def test_the_file_comes_whole_and_the_next_time_without_asking(
        self, server: FaultyServer, downloads: Downloads
    ) -> None:
        needed = file(server.add("/a.zip", CONTENT))
        assert downloads.fetch(needed) == downloads.folder / "a.zip"
        assert (downloads.folder / "a.zip").read_bytes() == CONTENT
        assert downloads.fetch(needed).read_bytes() == CONTENT
        assert len(server.requests) == 1

    def test_sha256_and_no_checksum_at_all(self, server: FaultyServer, downloads: Downloads) -> None:
        url = server.add("/a.zip", CONTENT)
        right = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
        assert downloads.fetch(SourceFile(name="a.zip", urls=(url,), checksum=right)).read_bytes() == CONTENT
        assert downloads.fetch(SourceFile(name="b.zip", urls=(url,))).read_bytes() == CONTENT
        wrong = SourceFile(name="c.zip", urls=(url,), checksum=f"sha256:{'0' * 64}")
        with pytest.raises(FetchError, match="wrong checksum"):
            downloads.fetch(wrong)

    def test_an_empty_file_and_one_of_unknown_size(self, server: FaultyServer, downloads: Downloads) -> None:
        empty = file(server.add("/empty", b""), content=b"", name="empty.zip")
        unsized = file(server.add("/unsized", CONTENT, sized=False), name="unsized.zip")
        assert downloads.fetch(empty).read_bytes() == b""
        assert downloads.fetch(unsized).read_bytes() == CONTENT

    def test_a_file_that_is_called_compressed_is_kept_as_it_is(
        self, server: FaultyServer, downloads: Downloads
    ) -> None:
        url = server.add("/a.tar.gz", CONTENT, headers={"Content-Encoding": "gzip"})
        assert downloads.fetch(file(url, name="a.tar.gz")).read_bytes() == CONTENT

    def test_a_redirection_is_followed(self, server: FaultyServer, downloads: Downloads) -> None:
        target = server.add("/there", CONTENT)
        url = server.add("/here", status=302, headers={"Location": target})
        assert downloads.fetch(file(url)).read_bytes() == CONTENT

    def test_progress_tells_bytes_up_to_the_whole(self, server: FaultyServer, tmp_path: Path) -> None:
        steps: list[Step] = []
        Downloads(tmp_path / "downloads", QUICK, steps.append).fetch(file(server.add("/a.zip", CONTENT)))
        for kind in ("download", "check"):
            reported = [step for step in steps if step.kind == kind]
            assert {(step.name, step.total) for step in reported} == {("a.zip", len(CONTENT))}
            done = [step.done for step in reported]
            assert done == sorted(done)
            assert done[-1] == len(CONTENT)


class TestFaults:
    def test_404_is_final_at_once_and_the_next_address_is_tried(
        self, server: FaultyServer, downloads: Downloads
    ) -> None:
        good = server.add("/good", CONTENT)
        assert downloads.fetch(file(f"{server.url}/gone", good)).read_bytes() == CONTENT
        assert [request.path for request in server.requests] == ["/gone", "/good"]

    def test_a_server_that_is_busy_at_first_is_asked_again(self, server: FaultyServer, downloads: Downloads) -> None:
        url = server.add("/a.zip", CONTENT, failures=2)
        assert downloads.fetch(file(url)).read_bytes() == CONTENT
        assert len(server.requests) == 3

    def test_a_server_that_stays_busy_is_given_up(self, server: FaultyServer, downloads: Downloads) -> None:
        url = server.add("/a.zip", CONTENT, failures=1000)
        with pytest.raises(FetchError, match=r"127\.0\.0\.1: HTTP 503"):
            downloads.fetch(file(url))
        assert len(server.requests) == 1 + QUICK.attempts

    def test_all_reasons_are_reported(self, server: FaultyServer, downloads: Downloads) -> None:
        wrong = server.add("/wrong", OTHER)
        dead = "http://127.0.0.1:9/a.zip"
        with pytest.raises(FetchError) as error:
            downloads.fetch(file(f"{server.url}/gone", dead, wrong))
        first, second, third = str(error.value).split("; ")
        assert first == "127.0.0.1: HTTP 404 Not Found"
        assert second == "127.0.0.1: cannot be reached"
        assert third.endswith(f"has the wrong checksum ({md5(OTHER)}, expected {md5(CONTENT)})")

    def test_a_server_that_never_answers_is_given_up_in_time(self, server: FaultyServer, tmp_path: Path) -> None:
        url = server.add("/a.zip", CONTENT, before=lambda page: time.sleep(0.5))
        hasty = RetryPolicy(connect_seconds=1.0, read_seconds=0.05, attempts=1, backoff_seconds=0.0)
        start = time.monotonic()
        with pytest.raises(FetchError, match=r"cannot be reached|no answer in time"):
            Downloads(tmp_path, hasty, unheard).fetch(file(url))
        assert time.monotonic() - start < 1.0

    def test_a_wrong_file_leaves_nothing_behind(self, server: FaultyServer, downloads: Downloads) -> None:
        with pytest.raises(FetchError, match="wrong checksum"):
            downloads.fetch(file(server.add("/a.zip", OTHER)))
        assert list(downloads.folder.iterdir()) == []
        assert len(server.requests) == 1

    def test_dropped_connections_go_on_where_they_broke(self, server: FaultyServer, downloads: Downloads) -> None:
        url = server.add("/a.zip", CONTENT, drops=3, drop_after=700_000)
        assert downloads.fetch(file(url)).read_bytes() == CONTENT
        starts = [int((request.range or "bytes=0-")[6:-1]) for request in server.requests]
        assert starts == [0, 700_000, 1_400_000, 2_100_000]
        assert server.sent["/a.zip"] == len(CONTENT)

    def test_a_server_that_drops_again_and_again_is_given_up(self, server: FaultyServer, downloads: Downloads) -> None:
        url = server.add("/a.zip", CONTENT, drops=1000, drop_after=10)
        with pytest.raises(FetchError, match="the connection breaks off again and again"):
            downloads.fetch(file(url))
        assert len(server.requests) == 1 + QUICK.attempts

    def test_attempts_are_not_used_up_as_long_as_it_moves_on(self, server: FaultyServer, tmp_path: Path) -> None:
        content = random.Random(3).randbytes(12 << 20)
        url = server.add("/a.zip", content, drops=10, drop_after=1 << 20)
        few = RetryPolicy(attempts=2, backoff_seconds=0.001)
        assert Downloads(tmp_path, few, unheard).fetch(file(url, content=content)).read_bytes() == content

    def test_a_broken_transfer_falls_back_to_the_next_address(self, server: FaultyServer, downloads: Downloads) -> None:
        broken = server.add("/broken", CONTENT, drops=1000, drop_after=1000)
        good = server.add("/good", CONTENT)
        assert downloads.fetch(file(broken, good)).read_bytes() == CONTENT
