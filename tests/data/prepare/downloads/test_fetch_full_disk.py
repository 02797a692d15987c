"""Downloads that find no room."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from faulty_server import FaultyServer
from fetching import CHILD, CONTENT, Usage, begin, file, md5

from promptarena.benchmark.data.prepare.disk_space import DiskFullError
from promptarena.benchmark.data.prepare.downloads import Downloads


class TestFullDisk:
    def test_too_little_room_is_reported_before_anything_is_fetched(
        self, server: FaultyServer, downloads: Downloads, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        url = server.add("/a.zip", CONTENT)
        monkeypatch.setattr("shutil.disk_usage", lambda path: Usage(free=2_000_000))
        with pytest.raises(DiskFullError, match=r"downloads.* is full: 3\.1 MB are needed, 2\.0 MB are free"):
            downloads.fetch(file(url, server.add("/other", CONTENT)))
        assert [request.path for request in server.requests] == ["/a.zip"]

    def test_a_download_that_needs_only_its_rest_asks_for_that_much(
        self, server: FaultyServer, downloads: Downloads, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        needed = begin(downloads, server, 2_000_000)
        monkeypatch.setattr("shutil.disk_usage", lambda path: Usage(free=2_000_000))
        assert downloads.fetch(needed).read_bytes() == CONTENT

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
    def test_a_disk_that_fills_up_stops_at_once_and_keeps_the_part(
        self, server: FaultyServer, downloads: Downloads, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        opened = Path.open

        def open_full(path: Path, *arguments: Any, **options: Any) -> Any:
            stream = opened(path, *arguments, **options)
            return _FullAfter(stream, 1 << 20, number) if arguments[:1] == ("ab",) else stream

        needed = file(server.add("/a.zip", CONTENT), server.add("/other", CONTENT))
        with monkeypatch.context() as patched:
            patched.setattr(Path, "open", open_full)
            with pytest.raises(DiskFullError, match=r"is full: 3\.1 MB were still to be written"):
                downloads.fetch(needed)
        assert [request.path for request in server.requests] == ["/a.zip"]
        assert downloads.fetch(needed).read_bytes() == CONTENT
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
