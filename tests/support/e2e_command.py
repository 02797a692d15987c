"""Runs `promptarena` as a user does: a process of its own, in some folder."""

import atexit
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import psutil
from forked import Command, Ended, Parent, environment

__all__ = ["Ended", "environment"]

COMMAND = (sys.executable, "-c", "from promptarena.benchmark.cli.main import main; main()")
SECONDS = 1800


@cache
def _parent() -> Parent:
    folder = tempfile.TemporaryDirectory(prefix="commands")
    atexit.register(folder.cleanup)
    return Parent(Path(folder.name), copied=True)


def start(*arguments: str | Path, cwd: Path, **variables: str) -> subprocess.Popen[str]:
    """The command, begun."""
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process: subprocess.Popen[str]) -> Ended:
    """Wait for a command begun with `start`."""
    out, err = process.communicate(timeout=SECONDS)
    return Ended(process.returncode, out, err)


def start_forked(*arguments: str | Path, cwd: Path, **variables: str) -> Command:
    """The command, begun in a process that has imported before what takes seconds."""
    return _parent().start(*arguments, cwd=cwd, **variables)


def run(*arguments: str | Path, cwd: Path, **variables: str) -> Ended:
    """Run the command to its end, in a process that has imported before what takes seconds."""
    return _parent().run(*arguments, cwd=cwd, **variables)


def succeed(*arguments: str | Path, cwd: Path, **variables: str) -> Ended:
    """Run the command to its end, which must be a good one."""
    ended = run(*arguments, cwd=cwd, **variables)
    assert ended.code == 0, f"exit code {ended.code}\n{ended.out}\n{ended.err}"
    return ended


def wait_until(condition: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Return as soon as the condition holds; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def workers_of(process: subprocess.Popen[str] | Command) -> list[psutil.Process]:
    """The processes below a command, deepest included."""
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def assert_gone(processes: list[psutil.Process], seconds: float = 20.0) -> None:
    """All these processes end by themselves."""
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    assert not alive, f"left running: {alive}"


def kill(process: subprocess.Popen[str]) -> None:
    """`kill -9` a command and see its workers go with it."""
    below = workers_of(process)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=SECONDS)
    assert_gone(below)
