"""The command at a terminal, in a pipe, and from a repository."""

import fcntl
import os
import pty
import re
import shlex
import socket
import struct
import subprocess
import sys
import termios
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from e2e_command import COMMAND, assert_gone, end, environment, start, workers_of
from e2e_inside import call
from e2e_world import make_world

from promptarena.benchmark.core.paths import DATASETS

HEAVY = {"torch", "mlflow", "pandas", "open_clip", "sklearn", "sentence_transformers"}
BASE_TO_NOVEL = ("--methods", "coop", "zeroshot", "--protocols", "base-to-novel", "--workers", "1")


def at_terminal(*arguments: str | Path, cwd: Path, columns: int) -> str:
    """All that the command writes to a terminal of this width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        env=environment(TERM="xterm-256color"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # Linux's way of saying that the other side is closed
            break
        if not piece:
            break
        seen += piece
    os.close(ours)
    assert process.wait() == 0
    return seen.decode()


@pytest.mark.parametrize(
    "call",
    [
        "from promptarena.benchmark.cli.main import main; sys.argv = ['promptarena', 'compare', 'mini']; main()",
        "import promptarena; promptarena.compare('mini', ['zeroshot'])",
    ],
)
def test_the_first_sign_of_life_comes_before_anything_slow(call: str, tmp_path: Path) -> None:
    """What takes seconds are the imports, the plan and the record; none of them has begun at the first line."""
    code = f"""
import os, sys
from rich.progress import Progress

def start(progress):
    print(progress.tasks[0].description, *sorted({HEAVY!r} & set(sys.modules)), *os.listdir(), file=sys.__stdout__)
    sys.__stdout__.flush()
    os._exit(0)

Progress.start = start
{call}
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(), check=True, capture_output=True, text=True
    )
    assert ended.stdout.splitlines() == ["planning"]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with a suite and a small record, and what a terminal showed of its comparison."""
    suite = make_world(tmp_path_factory.mktemp("world"))
    words = ("compare", suite.name, *BASE_TO_NOVEL, "--seeds", "5", "6")
    return suite.parent, at_terminal(*words, cwd=suite.parent, columns=120)


@pytest.fixture(scope="module")
def recorded(shown: tuple[Path, str]) -> Path:
    return shown[0]


def test_a_terminal_shows_bars_and_the_time_left(shown: tuple[Path, str]) -> None:
    _, seen = shown
    assert "\x1b[" in seen
    assert "━" in seen
    for words in ("planning", "starting 1 worker", "coop: reading images of noisy", "is best with"):
        assert words in seen
    assert re.search(r"about \d+ s left", seen)


@pytest.mark.parametrize("columns", [80, 120])
def test_lines_fit_the_terminal(columns: int, recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(recorded)
    monkeypatch.setenv("COLUMNS", str(columns))
    for words in (["leaderboard", "small.toml"], ["methods", "list"], ["datasets", "list"]):
        ended = call(*words)
        assert (ended.code, ended.err) == (0, "")
        assert max(map(len, ended.out.splitlines())) <= columns, words
    planned = call("compare", "small.toml", "--plan", "--seeds", "8", "9")
    assert max(map(len, planned.out.splitlines())) <= 80


def test_a_reader_that_leaves_early(recorded: Path) -> None:
    for format in ("rich", "md"):
        command = f"{shlex.join(COMMAND)} leaderboard small.toml --format {format} | head -1"
        ended = subprocess.run(
            ["bash", "-c", command], cwd=recorded, env=environment(), check=True, capture_output=True, text=True
        )
        assert len(ended.stdout.splitlines()) == 1
        assert ended.stderr == ""


def test_methods_and_datasets(here: Path) -> None:
    listed = call("methods", "list")
    assert (listed.code, listed.err) == (0, "")
    assert all(name in listed.out for name in ("zeroshot", "linear-probe", "coop", "maple"))
    shown = call("methods", "show", "coop").out
    assert all(word in shown for word in ("coop.n_ctx", "coop.recipe.epochs", "base-to-novel", "epochs 50"))
    table = call("datasets", "list").out
    assert all(path.stem in table for path in (DATASETS / "cards").glob("*.toml"))
    verified = call("datasets", "verify", "digits", "textures")
    assert (verified.code, verified.err) == (0, "")
    assert re.search(r"digits: whole \(160 train \w{12}, 40 val \w{12}, 500 test \w{12}\)", verified.out)
    assert not list(here.iterdir())


def test_verifying_a_damaged_dataset(tmp_path: Path) -> None:
    suite = make_world(tmp_path)
    assert call("datasets", "verify", "--suite", suite).code == 0
    (tmp_path / "pictures" / "faded" / "test" / "red" / "1.png").write_bytes(b"not a picture")
    ended = call("datasets", "verify", "--suite", suite)
    assert ended.code == 2
    assert "plain: whole" in ended.out
    assert "faded: not whole" in ended.out
    assert "red/1.png" in ended.out


def test_the_data_folder_does_not_hide_hugging_face_datasets(tmp_path: Path) -> None:
    assert not (DATASETS / "__init__.py").exists()
    other = tmp_path / "datasets" / "__init__.py"
    other.parent.mkdir()
    other.write_text("")
    found = subprocess.run(
        [sys.executable, "-c", "import datasets, promptarena.benchmark.data.cards; print(datasets.__file__)"],
        cwd=DATASETS.parent,
        env=environment(PYTHONPATH=str(tmp_path)),
        check=True,
        capture_output=True,
        text=True,
    )
    assert found.stdout.strip() == str(other)


@pytest.mark.slow
def test_the_user_interface(recorded: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = start("ui", "--port", str(port), cwd=recorded)

    assert process.stdout
    address = f"http://127.0.0.1:{port}"
    printed = next(line for line in process.stdout if line.startswith(f"{address} "))
    with urllib.request.urlopen(address, timeout=30) as answer:
        assert answer.status == 200, printed
    below = workers_of(process)
    assert below
    process.terminate()
    ended = end(process)
    assert ended.code == 143
    assert_gone(below)
