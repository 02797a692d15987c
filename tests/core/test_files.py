"""Files for the user: there as a whole, or as they were."""

import os
import socket
import threading
from contextlib import closing
from pathlib import Path

import pytest

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.files import require_regular, write_atomically


def test_text_bytes_and_copies_go_into_folders_that_are_made(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a" / "text", "79.1 \u00b1 2.6\n")
    write_atomically(tmp_path / "b" / "c" / "bytes", b"\x00\r\n")
    write_atomically(tmp_path / "copy", tmp_path / "b" / "c" / "bytes")
    assert (tmp_path / "a" / "text").read_bytes() == b"79.1 \xc2\xb1 2.6\n"
    assert (tmp_path / "copy").read_bytes() == b"\x00\r\n"
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize(
    ("stop", "told", "words"),
    [
        (KeyboardInterrupt(), KeyboardInterrupt, "^$"),
        (
            OSError(28, "No space left on device"),
            UserError,
            r"^cannot write .*report\.html: No space left on device; free",
        ),
    ],
)
def test_what_was_there_stands_when_writing_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: BaseException, told: type[BaseException], words: str
) -> None:
    def half(path: Path, content: bytes) -> None:
        with path.open("wb") as stream:
            stream.write(content[:2])
        raise stop

    report = tmp_path / "report.html"
    report.write_text("older")
    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(told, match=words):
        write_atomically(report, "newer")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert report.read_text() == "older"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("older")
    (tmp_path / "link").symlink_to("real")
    write_atomically(tmp_path / "link", "newer")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "newer"


def test_a_pipe_stays_a_pipe(tmp_path: Path) -> None:
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    write_atomically(pipe, "through")
    reader.join(10)
    assert (read, pipe.is_fifo()) == (["through"], True)


def test_a_folder_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "leaderboard.md").mkdir()
    with pytest.raises(UserError, match=r"cannot write .*leaderboard\.md: Is a directory"):
        write_atomically(tmp_path / "leaderboard.md", "tables")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*leaderboard\.md: "):
        write_atomically(tmp_path / "file" / "leaderboard.md", "tables")


@pytest.mark.parametrize("kind", ["a folder", "a pipe", "a socket", "a device"])
def test_only_a_regular_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Found out without opening it: opening a pipe would wait, and a device may not end."""
    path = tmp_path / "thing"
    monkeypatch.chdir(tmp_path)  # a socket's whole path would be too long
    with closing(socket.socket(socket.AF_UNIX)) as server:
        if kind == "a folder":
            path.mkdir()
        elif kind == "a pipe":
            os.mkfifo(path)
        elif kind == "a socket":
            server.bind(path.name)
        else:
            path = Path("/dev/zero")
        with pytest.raises(UserError, match=f"it is {kind}, not a file"):
            require_regular(path)
        link = tmp_path / "link"
        link.symlink_to(path)
        with pytest.raises(UserError, match=f"it is {kind}, not a file"):
            require_regular(link)
