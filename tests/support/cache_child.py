"""A process that asks the cache for an array and notes when it had to compute it; importable by spawned children."""

import multiprocessing.synchronize
import os
from pathlib import Path

import numpy as np

from promptarena.benchmark.inputs.array_cache import ArrayCache


def ask(folder: Path, key: str, calls: Path, ready: multiprocessing.synchronize.Barrier) -> None:
    """Get `key`, adding a line to `calls` for each computation; all that wait at `ready` ask at once."""

    def compute(rows: range) -> np.ndarray:
        with calls.open("a") as stream:
            stream.write(f"{os.getpid()}\n")
        return np.arange(5)

    ready.wait(60)
    assert ArrayCache(folder).get(key, 5, compute).tolist() == [0, 1, 2, 3, 4]
