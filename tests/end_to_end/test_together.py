"""Several commands on one record, and a command that is killed while it makes the record."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from contextlib import suppress
from pathlib import Path

import e2e_record
import psutil
import pytest
from e2e_command import assert_gone, end, environment, run, start, start_forked, succeed, wait_until
from e2e_world import make_world

WORDS = ("--methods", "coop", "zeroshot", "--protocols", "base-to-novel", "cross-dataset", "--workers", "1")


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"), seeds=(1, 2))


def keys(results: Path) -> Counter[str]:
    return Counter(run.data.tags["run_key"] for run in e2e_record.runs(results))


@pytest.fixture(scope="module")
def shared(suite: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which three identical commands ran at once, and made the record at once."""
    folder = tmp_path_factory.mktemp("shared")
    commands = [start_forked("compare", suite, *WORDS, cwd=folder) for _ in range(3)]
    for ended in [command.wait() for command in commands]:
        assert ended.code == 0, ended.err
        assert ended.err == ""
    return folder


def test_identical_commands_at_once_record_each_run_once(suite: Path, shared: Path) -> None:
    assert len(keys(shared / "results")) == 6
    assert set(keys(shared / "results").values()) == {1}
    assert {run.info.status for run in e2e_record.runs(shared / "results")} == {"FINISHED"}
    assert os.listdir(shared / "results" / "checkpoints") == []
    again = succeed("compare", suite, *WORDS, cwd=shared)
    assert "6 already done, 0 to run" in again.out


def test_imports_at_once_record_each_run_once(suite: Path, shared: Path, tmp_path: Path) -> None:
    succeed("export", suite, "--out", tmp_path / "export", cwd=shared)
    commands = [start_forked("import", tmp_path / "export", cwd=tmp_path) for _ in range(3)]
    for ended in [command.wait() for command in commands]:
        assert ended.code == 0, ended.err
    assert set(keys(tmp_path / "results").values()) == {1}
    assert keys(tmp_path / "results").keys() == keys(shared / "results").keys()


def test_a_record_that_was_moved_is_shown_and_goes_on(suite: Path, shared: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved? 100%25 #1"
    shutil.copytree(shared / "results", moved)
    shown = succeed("leaderboard", suite, "--results", moved, cwd=tmp_path)
    assert shown.out == succeed("leaderboard", suite, cwd=shared).out
    succeed("report", suite, "--results", moved, "--out", tmp_path / "report.html", cwd=tmp_path)
    succeed("compare", suite, *WORDS, "--seeds", "1", "2", "3", "--results", moved, cwd=tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(["moved? 100%25 #1", "report.html"])


def test_a_command_killed_while_it_makes_the_record_can_be_given_again(suite: Path, tmp_path: Path) -> None:
    words = ("compare", suite, "--methods", "zeroshot", "--protocols", "base-to-novel", "--plan")
    stream = random.Random(1)
    for number in range(4):
        process = start(*words, "--results", tmp_path / "results", cwd=tmp_path)
        wait_until((tmp_path / "results" / "mlflow.db.unfinished").exists, 120)
        time.sleep(number and stream.uniform(0, 2))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    succeed(*words, "--results", tmp_path / "results", cwd=tmp_path)
    assert sorted(os.listdir(tmp_path / "results")) == ["mlflow.db", "record.lock"]


def test_the_server_ends_with_its_terminal_and_its_address_is_no_argument(suite: Path, tmp_path: Path) -> None:
    succeed("compare", suite, "--methods", "zeroshot", "--plan", cwd=tmp_path)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"sqlite:///file:{tmp_path / 'results' / 'mlflow.db'}?uri=true&password=Zq7vXw2Kt9"
    process = start("ui", "--port", str(port), cwd=tmp_path, MLFLOW_TRACKING_URI=address)

    def answers() -> bool:
        assert process.poll() is None
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).status == 200
        except (urllib.error.URLError, OSError):
            return False

    wait_until(answers, 300)
    below = psutil.Process(process.pid).children(recursive=True)
    assert below
    assert not [word for child in below for word in child.cmdline() if "Zq7vXw2Kt9" in word]
    process.send_signal(signal.SIGHUP)
    try:
        assert_gone(below)  # first: the command's output ends with the last of them
    finally:
        for child in below:
            with suppress(psutil.NoSuchProcess):
                child.kill()
    ended = end(process)
    assert ended.code == 128 + signal.SIGHUP
    assert "Zq7vXw2Kt9" not in ended.out + ended.err


def test_a_command_under_nohup_goes_on_when_its_terminal_closes(suite: Path, tmp_path: Path) -> None:
    code = (
        "import signal, os\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "from promptarena.benchmark.cli import main\n"
        "main.app = lambda *_, **__: os.kill(os.getpid(), signal.SIGHUP)\nmain.main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], env=environment(), cwd=tmp_path)
    assert ended.returncode == 0


def test_secrets_of_an_address_are_not_printed(tmp_path: Path) -> None:
    for uri in ("http://bob:se@Zq7vXw2Kt9@127.0.0.1:9", "http://127.0.0.1:9/?password=Zq7vXw2Kt9"):
        ended = run("leaderboard", cwd=tmp_path, MLFLOW_TRACKING_URI=uri)
        assert ended.code == 2
        assert len(ended.err.splitlines()) == 1
        assert "Zq7vXw2Kt9" not in ended.out + ended.err
