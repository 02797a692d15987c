"""Fetching: faulty servers, resuming, checksums, the Hub, Google Drive, full disks, and files put there by hand."""

import errno
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from faulty_server import FaultyServer, Page, faulty_server

from promptarena.benchmark.diskspace import DiskFullError
from promptarena.benchmark.fetch import Downloads, FetchError
from promptarena.benchmark.sources import SourceFile
from promptarena.benchmark.steps import Step, unheard
from promptarena.benchmark.transfers import Patience

CONTENT = random.Random(1).randbytes(3 << 20)
OTHER = random.Random(2).randbytes(3 << 20)
QUICK = Patience(connect_seconds=2.0, read_seconds=2.0, attempts=3, backoff_seconds=0.001)


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with faulty_server() as running:
        yield running


@pytest.fixture
def downloads(tmp_path: Path) -> Downloads:
    return Downloads(tmp_path / "downloads", QUICK, unheard)


def md5(content: bytes) -> str:
    return f"md5:{hashlib.md5(content).hexdigest()}"


def file(*urls: str, content: bytes | None = CONTENT, name: str = "a.zip") -> SourceFile:
    checksum = None if content is None else md5(content)
    return SourceFile(name=name, urls=urls, checksum=checksum, by_hand="ask")


def begin(downloads: Downloads, server: FaultyServer, bytes_kept: int, **faults: Any) -> SourceFile:
    """Leaves the first bytes of a download on the disk, as a process does that is stopped."""
    url = server.add("/a.zip", CONTENT, **faults)
    page = server.pages["/a.zip"]
    page.drops, page.drop_after = 1000, bytes_kept
    wanted = file(url, content=faults.pop("known", CONTENT))
    with pytest.raises(FetchError, match="breaks off again and again"):
        Downloads(downloads.folder, Patience(attempts=0), unheard).fetch(wanted)
    page.drops = 0
    server.requests.clear()
    server.sent.clear()
    return wanted


class TestAnHonestServer:
    def test_the_file_comes_whole_and_the_next_time_without_asking(
        self, server: FaultyServer, downloads: Downloads
    ) -> None:
        wanted = file(server.add("/a.zip", CONTENT))
        assert downloads.fetch(wanted) == downloads.folder / "a.zip"
        assert (downloads.folder / "a.zip").read_bytes() == CONTENT
        assert downloads.fetch(wanted).read_bytes() == CONTENT
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
            told = [step for step in steps if step.kind == kind]
            assert {(step.name, step.total) for step in told} == {("a.zip", len(CONTENT))}
            done = [step.done for step in told]
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

    def test_all_reasons_are_told(self, server: FaultyServer, downloads: Downloads) -> None:
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
        hasty = Patience(connect_seconds=1.0, read_seconds=0.05, attempts=1, backoff_seconds=0.0)
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
        few = Patience(attempts=2, backoff_seconds=0.001)
        assert Downloads(tmp_path, few, unheard).fetch(file(url, content=content)).read_bytes() == content

    def test_a_broken_transfer_falls_back_to_the_next_address(self, server: FaultyServer, downloads: Downloads) -> None:
        broken = server.add("/broken", CONTENT, drops=1000, drop_after=1000)
        good = server.add("/good", CONTENT)
        assert downloads.fetch(file(broken, good)).read_bytes() == CONTENT


class TestResuming:
    def test_a_later_process_asks_for_the_rest_only(self, server: FaultyServer, downloads: Downloads) -> None:
        wanted = begin(downloads, server, 1_000_000)
        assert downloads.fetch(wanted).read_bytes() == CONTENT
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
        wanted = begin(downloads, server, 1_000_000, ranges=ranges)
        assert downloads.fetch(wanted).read_bytes() == CONTENT
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
        wanted = begin(downloads, server, 1_000_000, validators=False)
        assert downloads.fetch(wanted).read_bytes() == CONTENT
        assert [request.range for request in server.requests] == ["bytes=1000000-"]
        downloads.discard(wanted)
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
        wanted = begin(downloads, server, 1_000_000, weak=True)
        assert downloads.fetch(wanted).read_bytes() == CONTENT
        assert server.requests[0].headers["if-range"] == "Mon, 01 Jan 2024 00:00:00 GMT"

    def test_a_server_that_gives_less_than_asked_for_is_asked_again(
        self, server: FaultyServer, downloads: Downloads
    ) -> None:
        wanted = begin(downloads, server, 1_000_000, ranges="short")
        assert downloads.fetch(wanted).read_bytes() == CONTENT
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
        wanted = begin(downloads, server, 1_000_000)
        for path in (downloads.folder / ".a.zip").glob("*.json"):
            path.write_text(note)
        assert downloads.fetch(wanted).read_bytes() == CONTENT
        assert [request.range for request in server.requests] == [None]

    def test_killed_at_any_moment_it_goes_on(self, server: FaultyServer, downloads: Downloads) -> None:
        url = server.add("/a.zip", CONTENT, seconds=0.4)
        command = [sys.executable, "-c", CHILD, str(downloads.folder), url, md5(CONTENT)]
        child = subprocess.Popen(command, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"})
        deadline = time.monotonic() + 20
        while server.sent["/a.zip"] < 1_000_000 and time.monotonic() < deadline:
            time.sleep(0.005)
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert not (downloads.folder / "a.zip").exists()
        server.pages["/a.zip"].seconds = 0.0
        assert downloads.fetch(file(url)).read_bytes() == CONTENT
        first, second = server.seen("/a.zip")
        assert first.range is None
        assert int((second.range or "bytes=0-")[6:-1]) > 0


CHILD = """
import sys
from pathlib import Path
from promptarena.benchmark.fetch import Downloads
from promptarena.benchmark.sources import SourceFile
from promptarena.benchmark.steps import unheard
from promptarena.benchmark.transfers import Patience
folder, url, checksum = sys.argv[1:]
Downloads(Path(folder), Patience(), unheard).fetch(SourceFile(name="a.zip", urls=(url,), checksum=checksum))
"""


class TestByHand:
    def test_a_right_file_is_used_without_asking_and_never_deleted(
        self, server: FaultyServer, downloads: Downloads
    ) -> None:
        downloads.folder.mkdir()
        (downloads.folder / "a.zip").write_bytes(CONTENT)
        wanted = file(server.add("/a.zip", OTHER))
        assert downloads.fetch(wanted).read_bytes() == CONTENT
        assert server.requests == []
        assert not downloads.discard(wanted)
        assert (downloads.folder / "a.zip").read_bytes() == CONTENT

    def test_a_wrong_file_is_named_kept_and_not_used(self, server: FaultyServer, downloads: Downloads) -> None:
        downloads.folder.mkdir()
        (downloads.folder / "a.zip").write_bytes(OTHER)
        with pytest.raises(FetchError, match=r"downloads/a\.zip has the wrong checksum .*it is kept but not used"):
            downloads.fetch(file(server.add("/a.zip", CONTENT)))
        assert (downloads.folder / "a.zip").read_bytes() == OTHER
        assert server.requests == []

    def test_a_folder_of_that_name_is_refused(self, downloads: Downloads) -> None:
        (downloads.folder / "a.zip").mkdir(parents=True)
        with pytest.raises(FetchError, match=r"a\.zip is not a file"):
            downloads.fetch(file())

    def test_a_file_that_replaced_a_fetched_one_is_the_users(self, server: FaultyServer, downloads: Downloads) -> None:
        wanted = file(server.add("/a.zip", CONTENT), content=None)
        downloads.fetch(wanted)
        (downloads.folder / "a.zip").write_bytes(OTHER)
        assert not downloads.discard(wanted)
        assert (downloads.folder / "a.zip").read_bytes() == OTHER

    def test_a_fetched_file_is_deleted_when_asked_and_fetched_anew_when_the_checksum_is_another(
        self, server: FaultyServer, downloads: Downloads
    ) -> None:
        url = server.add("/a.zip", CONTENT)
        downloads.fetch(file(url))
        server.pages["/a.zip"].content = OTHER
        wanted = file(url, content=OTHER)
        assert downloads.fetch(wanted).read_bytes() == OTHER
        assert downloads.discard(wanted)
        assert list(downloads.folder.iterdir()) == []

    def test_a_file_without_an_address_has_to_be_put_there(self, downloads: Downloads) -> None:
        with pytest.raises(FetchError, match="no address serves it, it has to be put there by hand"):
            downloads.fetch(file())


class TestFullDisk:
    def test_too_little_room_is_told_before_anything_is_fetched(
        self, server: FaultyServer, downloads: Downloads, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        url = server.add("/a.zip", CONTENT)
        monkeypatch.setattr("shutil.disk_usage", lambda path: _Usage(free=2_000_000))
        with pytest.raises(DiskFullError, match=r"downloads.* is full: 3\.1 MB are needed, 2\.0 MB are free"):
            downloads.fetch(file(url, server.add("/other", CONTENT)))
        assert [request.path for request in server.requests] == ["/a.zip"]

    def test_a_download_that_needs_only_its_rest_asks_for_that_much(
        self, server: FaultyServer, downloads: Downloads, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        wanted = begin(downloads, server, 2_000_000)
        monkeypatch.setattr("shutil.disk_usage", lambda path: _Usage(free=2_000_000))
        assert downloads.fetch(wanted).read_bytes() == CONTENT

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
    def test_a_disk_that_fills_up_stops_at_once_and_keeps_the_part(
        self, server: FaultyServer, downloads: Downloads, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        opened = Path.open

        def open_full(path: Path, *arguments: Any, **options: Any) -> Any:
            stream = opened(path, *arguments, **options)
            return _FullAfter(stream, 1 << 20, number) if arguments[:1] == ("ab",) else stream

        wanted = file(server.add("/a.zip", CONTENT), server.add("/other", CONTENT))
        with monkeypatch.context() as patched:
            patched.setattr(Path, "open", open_full)
            with pytest.raises(DiskFullError, match=r"is full: 3\.1 MB were still to be written"):
                downloads.fetch(wanted)
        assert [request.path for request in server.requests] == ["/a.zip"]
        assert downloads.fetch(wanted).read_bytes() == CONTENT
        assert server.requests[-1].range == f"bytes={1 << 20}-"

    def test_on_a_really_full_disk(self, server: FaultyServer, tmp_path: Path) -> None:
        disk = tmp_path / "disk"
        disk.mkdir()
        mount = f"mount -t tmpfs -o size=2m tmpfs {disk}"
        if subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True, check=False).returncode:
            pytest.skip("this user may not mount a small file system")
        url = server.add("/a.zip", CONTENT, sized=False)
        child = f"{sys.executable} -c '{CHILD}' {disk} {url} {md5(CONTENT)}"
        script = f"{mount} && {child}; stat -c %s {disk}/.a.zip/part"
        result = subprocess.run(
            ["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True, check=False, timeout=60
        )
        assert "DiskFullError: the disk of" in result.stderr
        assert 1 << 20 <= int(result.stdout) < 2 << 20


class _Usage:
    def __init__(self, free: int) -> None:
        self.free = free


class _FullAfter:
    """A stream that takes `room` bytes and then fails as a full disk does."""

    def __init__(self, stream: Any, room: int, number: int) -> None:
        self._stream = stream
        self._room = room
        self._number = number

    def __enter__(self) -> "_FullAfter":
        return self

    def __exit__(self, *reason: object) -> None:
        self._stream.close()

    def write(self, content: bytes) -> int:
        if len(content) > self._room:
            raise OSError(self._number, os.strerror(self._number))
        self._room -= len(content)
        return int(self._stream.write(content))


class TestHub:
    """Against pages that answer as the Hub does: a redirection that carries the file's SHA-256."""

    URL = "hf:datasets/owner/repo@0123abc/data/a.zip"
    PATH = "/datasets/owner/repo/resolve/0123abc/data/a.zip"

    @pytest.fixture(autouse=True)
    def _hub(self, server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        template = f"{server.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        self.serve(server, CONTENT)

    def serve(self, server: FaultyServer, content: bytes, told: bytes | None = None, **faults: Any) -> None:
        sha256 = hashlib.sha256(content if told is None else told).hexdigest()
        location = server.add("/cdn/blob", content, **faults)
        headers = {"Location": location, "X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(len(content))}
        server.add(self.PATH, status=302, headers=headers)

    def test_a_file_comes_through_the_redirection_with_the_users_token(
        self, server: FaultyServer, downloads: Downloads
    ) -> None:
        assert downloads.fetch(file(self.URL)).read_bytes() == CONTENT
        assert server.seen(self.PATH)[0].headers["authorization"] == "Bearer hf_secret"

    def test_the_hubs_own_sha256_decides_where_the_card_has_no_checksum(
        self, server: FaultyServer, downloads: Downloads
    ) -> None:
        self.serve(server, OTHER, told=CONTENT)
        with pytest.raises(FetchError, match="wrong checksum"):
            downloads.fetch(file(self.URL, content=None))
        self.serve(server, CONTENT)
        assert downloads.fetch(file(self.URL, content=None)).read_bytes() == CONTENT

    def test_it_resumes_between_two_calls(self, server: FaultyServer, downloads: Downloads) -> None:
        self.serve(server, CONTENT, drops=1000, drop_after=1_000_000)
        with pytest.raises(FetchError):
            Downloads(downloads.folder, Patience(attempts=0), unheard).fetch(file(self.URL, content=None))
        server.pages["/cdn/blob"].drops = 0
        assert downloads.fetch(file(self.URL, content=None)).read_bytes() == CONTENT
        assert [request.range for request in server.seen("/cdn/blob")] == [None, "bytes=1000000-"]

    @pytest.mark.parametrize(("status", "reason"), [(404, "HTTP 404 Not Found"), (401, "HTTP 401 Unauthorized")])
    def test_a_missing_or_private_file(
        self, server: FaultyServer, downloads: Downloads, status: int, reason: str
    ) -> None:
        server.add(self.PATH, status=status)
        with pytest.raises(FetchError, match=f"huggingface.co: {reason}"):
            downloads.fetch(file(self.URL))

    def test_offline_it_asks_nobody_but_uses_the_hubs_cache(
        self, server: FaultyServer, downloads: Downloads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        with pytest.raises(FetchError, match=r"huggingface\.co: HF_HUB_OFFLINE is set"):
            downloads.fetch(file(self.URL))
        cached = tmp_path / "hub" / "datasets--owner--repo" / "snapshots" / "0123abc" / "data" / "a.zip"
        cached.parent.mkdir(parents=True)
        cached.write_bytes(CONTENT)
        wanted = file(self.URL)
        assert downloads.fetch(wanted).read_bytes() == CONTENT
        assert not downloads.discard(wanted)
        assert cached.exists()
        assert server.requests == []

    def test_the_endpoint_of_the_environment_is_asked(self, server: FaultyServer, tmp_path: Path) -> None:
        environment = os.environ | {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "home")}
        command = [sys.executable, "-c", CHILD, str(tmp_path / "downloads"), self.URL, md5(CONTENT)]
        subprocess.run(command, env=environment, check=True, timeout=60)
        assert (tmp_path / "downloads" / "a.zip").read_bytes() == CONTENT


class TestDrive:
    """gdown itself, with every request to Google Drive sent to the server of the test."""

    URL = "gdrive:1AbC-d_E"

    @pytest.fixture(autouse=True)
    def _drive(self, server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> None:
        send = requests.adapters.HTTPAdapter.send

        def redirected(adapter: Any, request: Any, *arguments: Any, **options: Any) -> Any:
            request.url = request.url.replace("https://drive.google.com", server.url)
            return send(adapter, request, *arguments, **options)

        monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", redirected)

    def serve(self, server: FaultyServer, content: bytes = CONTENT, **faults: Any) -> None:
        headers = {"Content-Type": "application/zip", "Content-Disposition": 'attachment; filename="x.zip"'}
        server.add("/uc", content, headers=headers, **faults)

    def test_a_file_comes_under_the_name_of_the_card(self, server: FaultyServer, downloads: Downloads) -> None:
        self.serve(server)
        assert downloads.fetch(file(self.URL)).read_bytes() == CONTENT
        assert sorted(path.name for path in downloads.folder.iterdir()) == [".a.zip", "a.zip"]

    def test_it_resumes_between_two_calls(self, server: FaultyServer, downloads: Downloads) -> None:
        self.serve(server, drops=1000, drop_after=1_000_000)
        with pytest.raises(FetchError, match=r"drive\.google\.com: Download is incomplete"):
            Downloads(downloads.folder, Patience(attempts=0), unheard).fetch(file(self.URL))
        server.pages["/uc"].drops = 0
        server.requests.clear()
        assert downloads.fetch(file(self.URL)).read_bytes() == CONTENT
        assert 0 < int((server.requests[-1].range or "bytes=0-")[6:-1]) <= 1_000_000

    def test_a_part_that_cannot_go_on_is_fetched_anew(self, server: FaultyServer, downloads: Downloads) -> None:
        self.serve(server, drops=1000, drop_after=1_000_000)
        with pytest.raises(FetchError):
            Downloads(downloads.folder, Patience(attempts=0), unheard).fetch(file(self.URL))
        self.serve(server, OTHER, ranges="refused")
        assert downloads.fetch(file(self.URL, content=OTHER)).read_bytes() == OTHER

    def test_a_refusal_is_told_in_a_few_words(self, server: FaultyServer, downloads: Downloads) -> None:
        page = b'<html><p class="uc-error-subcaption">Too many users have viewed this file.</p></html>'
        server.add("/uc", page, headers={"Content-Type": "text/html; charset=utf-8"})
        with pytest.raises(FetchError) as error:
            downloads.fetch(file(self.URL))
        assert str(error.value).startswith("drive.google.com: Google Drive does not give it out")
        assert "\n" not in str(error.value)

    def test_too_little_room_stops_it(
        self, server: FaultyServer, downloads: Downloads, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.serve(server)
        monkeypatch.setattr("shutil.disk_usage", lambda path: _Usage(free=1000))
        with pytest.raises(DiskFullError, match=r"downloads is full: 2\.6 MB are needed, 1\.0 kB are free"):
            downloads.fetch(file(self.URL))
