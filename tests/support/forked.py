"""Runs `promptarena` in processes that are forked from one that has imported everything: a second becomes an instant.

`python forked.py` is that parent. It reads a line of JSON for each command and answers with the command's process id.
The workers of a command are forked, too: from multiprocessing's server, which is forked before the command has threads.
Plots that `compare` keeps are blank: drawing them takes a second, and tests of the room `report` look at them.
"""

import gc
import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import forkserver, util
from pathlib import Path
from typing import Any, NoReturn

from new_records import copy_new_records

SECONDS = 1800
COPIED = "--copied-records"
IMPORTED_LATE = (
    "matplotlib.pyplot",
    "mlflow.store.tracking.sqlalchemy_store",
    "open_clip",
    "promptarena.benchmark.api.comparing",
    "promptarena.benchmark.cli.commands.compare",
    "promptarena.benchmark.cli.commands.export",
    "promptarena.benchmark.cli.commands.leaderboard",
    "promptarena.benchmark.cli.commands.report",
    "promptarena.benchmark.cli.main",
    "promptarena.benchmark.data.miniature.options",
    "promptarena.benchmark.running.local_pool",
    "promptarena.benchmark.running.serving",
    "scipy.stats",
    "sklearn.datasets",
)
"""What takes seconds to import; commands and workers import it where they need it."""
BLANK = b"blank"
"""A plot that `compare` keeps."""


@dataclass(frozen=True)
class Ended:
    """A command that ended."""

    code: int
    out: str
    err: str

    def table_text(self) -> str:
        """What it printed from the first leaderboard on."""
        start = min(self.out.index(title) for title in ("Base-to-novel", "Cross-dataset") if title in self.out)
        return self.out[start:]


def environment(**changes: str) -> dict[str, str]:
    """This process's environment without what would redirect the record or colour the output."""
    names = ("MLFLOW_TRACKING_URI", "PROMPTARENA_DATA", "COLUMNS", "FORCE_COLOR")
    return {name: value for name, value in os.environ.items() if name not in names} | changes


@dataclass
class Command:
    """A command that runs, and the files that its output goes to."""

    pid: int
    out: Path
    err: Path

    def alive(self) -> bool:
        """Whether it has not ended; its parent collects it at once."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def kill(self) -> bool:
        """`kill -9` it; False if it had ended already."""
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        self.wait()
        return True

    def wait(self) -> Ended:
        """Wait for its end; the exit code is that of a shell."""
        deadline = time.monotonic() + SECONDS
        code = self.err.with_suffix(".code")
        while not code.exists():
            assert time.monotonic() < deadline, f"it hangs: {_text(self.err)}"
            time.sleep(0.005)
        return Ended(int(code.read_text()), _text(self.out), _text(self.err))


def _text(path: Path) -> str:
    """What a command wrote; nothing when it was killed before it had opened the file."""
    return path.read_text() if path.exists() else ""


class Parent:
    """The process that commands are forked from.

    Args:
        folder: For what it writes.
        copied: Whether records that the commands make are copies of one that was made before.
    """

    def __init__(self, folder: Path, *, copied: bool = False) -> None:
        self._folder = folder
        self._count = 0
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, __file__, *[COPIED] * copied],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=environment(**dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")),
        )

    def start(
        self, *words: object, cwd: Path, limit: int | None = None, out: Path | None = None, **variables: str
    ) -> Command:
        """Begin a command.

        Args:
            words: Its words.
            cwd: Its working directory.
            limit: The largest file, in bytes, that it may write: beyond it writing fails as on a full disk.
            out: Its standard output; None: a file of its own.
            variables: What its environment has beside this process's.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._count += 1
            output, err = out or self._folder / f"{self._count}.out", self._folder / f"{self._count}.err"
            asked = {"words": [*map(str, words)], "cwd": str(cwd), "limit": limit, "out": str(output), "err": str(err)}
            self._process.stdin.write(f"{json.dumps(asked | {'environment': environment(**variables)})}\n")
            self._process.stdin.flush()
            pid = int(self._process.stdout.readline())
        return Command(pid, Path(os.devnull) if out else output, err)

    def run(
        self, *words: object, cwd: Path, limit: int | None = None, out: Path | None = None, **variables: str
    ) -> Ended:
        """Run a command to its end."""
        return self.start(*words, cwd=cwd, limit=limit, out=out, **variables).wait()

    def close(self) -> None:
        """End the parent."""
        self._process.kill()
        self._process.communicate()


def _serve() -> None:
    for name in IMPORTED_LATE:
        import_module(name)
    if COPIED in sys.argv:
        copy_new_records(Path.cwd())()
    gc.freeze()  # what was imported is never searched for garbage, so its pages stay shared with the commands
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # those that watch a command are collected by the system
    for line in sys.stdin:
        asked = json.loads(line)
        if not os.fork():
            _watch(asked)


def _watch(asked: dict[str, Any]) -> None:
    """Fork the command, report its id, and write down its exit code when it ends; never returns."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if not pid:
        _run(asked)
    sys.stdout.write(f"{pid}\n")
    sys.stdout.flush()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    path = Path(asked["err"]).with_suffix(".code")
    path.with_suffix(".part").write_text(str(code if code >= 0 else 128 - code))
    os.replace(path.with_suffix(".part"), path)
    os._exit(0)


def _run(asked: dict[str, Any]) -> None:
    from promptarena.benchmark.cli.main import main
    from promptarena.benchmark.report import sections

    os.environ.clear()
    os.environ.update(asked["environment"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in ((1, asked["out"]), (2, asked["err"])):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
    os.chdir(asked["cwd"])
    if asked["limit"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (asked["limit"], asked["limit"]))
    sys.argv = ["promptarena", *asked["words"]]
    if sys.argv[1:2] == ["compare"]:
        sections.rendered = lambda figure, format: BLANK
    _fork_workers()
    code = 1
    try:
        main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _fork_workers() -> None:
    """Let the processes that this one spawns be forks of it as it is now."""
    util.spawnv_passfds = _fork_python
    forkserver.set_forkserver_preload([])
    forkserver.ensure_running()
    contexts = multiprocessing.get_context
    multiprocessing.get_context = lambda method=None: contexts("forkserver" if method == "spawn" else method)


def _fork_python(path: str, words: Sequence[str], passed: Sequence[int]) -> int:
    """`python -c TEXT` in a fork of this process, with the open files that are passed to it.

    The others are closed: the server ends when nobody else has its pipe open any more.
    """
    pid = os.fork()
    if not pid:
        for number in {int(each) for each in os.listdir("/dev/fd")} - {0, 1, 2, *passed}:
            with suppress(OSError):  # the listing's own
                os.close(number)
        _execute(words[-1])
    return pid


def _execute(text: str) -> NoReturn:
    try:
        exec(text, {"__name__": "__main__"})
    finally:
        os._exit(0)


if __name__ == "__main__":
    _serve()
