"""Killed, stopped or interrupted at any moment, the same command ends with the figures of an undisturbed one."""

import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import e2e_record
import pytest
from e2e_command import assert_gone, end, kill, run, start, start_forked, succeed, wait_until, workers_of
from e2e_world import make_world
from forked import Command

EPOCHS = 10
ARGUMENTS = ("--methods", "coop", "maple", "--seeds", "1", "--workers", "2")


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"), epochs=EPOCHS)


@pytest.fixture(scope="module")
def undisturbed(suite: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("undisturbed")
    succeed("compare", suite, *ARGUMENTS, cwd=folder)
    return e2e_record.figures(folder / "results")


def at_work(folder: Path, began: float) -> bool:
    """Whether a worker of a command that began then trains: a checkpoint is newer than the command."""
    checkpoints = (folder / "results" / "checkpoints").glob("*/checkpoint.safetensors")
    return any(path.stat().st_mtime > began for path in checkpoints)


def begin(suite: Path, folder: Path) -> subprocess.Popen[str]:
    """The command as a user starts it, with its workers at work."""
    began = time.time()
    process = start("compare", suite, *ARGUMENTS, cwd=folder)
    wait_until(lambda: process.poll() is not None or at_work(folder, began))
    return process


def begin_forked(suite: Path, folder: Path) -> Command:
    """The command, begun in no time, with its workers at work."""
    began = time.time()
    command = start_forked("compare", suite, *ARGUMENTS, cwd=folder)
    wait_until(lambda: not command.alive() or at_work(folder, began))
    return command


def assert_same_figures(suite: Path, folder: Path, undisturbed: dict[str, Any]) -> None:
    succeed("compare", suite, *ARGUMENTS, cwd=folder)
    found = e2e_record.figures(folder / "results")
    assert found.keys() == undisturbed.keys()
    for name, figures in undisturbed.items():
        assert found[name] == figures, name
    assert len(e2e_record.runs(folder / "results")) == len(undisturbed)


def test_killed_and_stopped_by_signals(suite: Path, undisturbed: dict[str, Any], tmp_path: Path) -> None:
    """With processes as a user starts them; tests/campaign/test_kills.py kills many more that are quicker to start."""
    kill(begin(suite, tmp_path))
    for number in (signal.SIGINT, signal.SIGTERM):
        process = begin(suite, tmp_path)
        below = workers_of(process)
        for target in (process, *below) if number == signal.SIGINT else (process,):  # a terminal's Ctrl-C reaches all
            target.send_signal(number)
        ended = end(process)
        assert ended.code == 128 + number
        assert ended.err == "promptarena: stopped; the same command goes on from here\n"
        assert_gone(below)
    assert_same_figures(suite, tmp_path, undisturbed)


def test_a_killed_worker_takes_down_its_own_run_only(suite: Path, undisturbed: dict[str, Any], tmp_path: Path) -> None:
    command = begin_forked(suite, tmp_path)
    busy = [child for child in workers_of(command) if child.ppid() != command.pid]  # their server's children
    busy[0].kill()
    ended = command.wait()
    assert ended.code == 1
    assert "the worker process died: killed by SIGKILL" in ended.err
    assert "Traceback" not in ended.err
    statuses = [run.info.status for run in e2e_record.runs(tmp_path / "results")]
    assert sorted(set(statuses)) == ["FAILED", "FINISHED"]
    assert statuses.count("FAILED") == 1
    assert_same_figures(suite, tmp_path, undisturbed)


def test_a_truncated_checkpoint_is_named(suite: Path, tmp_path: Path) -> None:
    begin_forked(suite, tmp_path).kill()
    path = max(
        (tmp_path / "results" / "checkpoints").glob("*/checkpoint.safetensors"), key=lambda path: path.stat().st_mtime
    )
    path.write_bytes(path.read_bytes()[:-100])
    ended = run("compare", suite, *ARGUMENTS, cwd=tmp_path)
    assert ended.code == 2
    (line,) = ended.err.splitlines()
    assert line.startswith("promptarena: ")
    assert f"checkpoint {path} is damaged" in line
    path.unlink()
    assert "failed before" in succeed("compare", suite, *ARGUMENTS, "--plan", cwd=tmp_path).out
