"""Worker processes of a test's own process are forked from a server that has imported everything: seconds become an
instant."""

import multiprocessing
import os
from multiprocessing import forkserver, spawn
from multiprocessing.context import BaseContext
from pathlib import Path

import pytest

ENVIRONMENT = "environment"


def fork_workers() -> None:
    """From now on, a process that this one spawns is forked from the server, which starts when it is first needed.

    As if it were spawned, it has the environment that this process has at that moment.
    """
    data_of, contexts = spawn.get_preparation_data, multiprocessing.get_context

    def context(method: str | None = None) -> BaseContext:
        if method != "spawn":
            return contexts(method)
        _start_server()
        return contexts("forkserver")

    spawn.get_preparation_data = lambda name: data_of(name) | {ENVIRONMENT: dict(os.environ)}
    multiprocessing.get_context = context


def _start_server() -> None:
    """Start it unless it runs."""
    forkserver.set_forkserver_preload(["forked_workers_server"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))  # Python 3.11 does not hand the server its sys.path
        patch.setenv("OMP_NUM_THREADS", "1")
        forkserver.ensure_running()
