"""What the server of `forked_workers` imports before it forks: all that workers need, and how they take over an
environment."""

import gc
import os
from importlib import import_module
from multiprocessing import spawn
from typing import Any

from forked import IMPORTED_LATE
from forked_workers import ENVIRONMENT

PREPARE = spawn.prepare


def prepare(data: dict[str, Any]) -> None:
    if ENVIRONMENT in data:
        os.environ.clear()
        os.environ.update(data.pop(ENVIRONMENT))
    PREPARE(data)


for name in IMPORTED_LATE:
    import_module(name)
spawn.prepare = prepare
gc.freeze()  # what was imported is never searched for garbage, so its pages stay shared with the workers
