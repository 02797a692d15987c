"""How a process carries out runs: plain values that need no torch."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from promptarena.benchmark.backbone.accelerations import Precision
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.runs import PlannedRun
from promptarena.benchmark.planning.suites import Suite, load_suite

CHECKPOINT = "checkpoint.safetensors"
"""The file of an unfinished training in its folder."""


@dataclass(frozen=True)
class ExecutionConfig:
    """How and on which device a process runs; plain values, so that it can be sent to a worker.

    `threads` is the number of CPU threads of one run. It is fixed, not taken from the machine, because the last bits
    of a matrix product depend on it; the cores are used by several runs, not by several threads. `seeds_together`: runs
    that differ only in the seed are trained as one computation, if their method allows it. `cuda_graphs`: training
    steps on a CUDA device are recorded and replayed, if their method allows it. `compile_backend`: as for
    `Tower`. `predictions`: what is predicted for every test image is kept. `carried_suite`: what `suite` names, for a
    machine that may not have its file.
    """

    suite: str
    results: Path
    cache: Path
    data_root: Path | None = None
    plugins: tuple[Path, ...] = ()
    device: str = "auto"
    precision: Precision = "fp32"
    threads: int = 1
    seeds_together: bool = False
    cuda_graphs: bool = True
    compile_backend: str = ""
    predictions: bool = True
    carried_suite: Suite | None = None

    def loaded_suite(self) -> Suite:
        """The suite. Raises UserError as `load_suite` does."""
        return self.carried_suite or load_suite(self.suite)


def training_folder(results: Path, planned: PlannedRun) -> Path:
    """The folder of a training's checkpoint, which is kept until every run that shares it is recorded."""
    return results / "checkpoints" / planned.train_key


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock the training in this folder, so that only one process works on it. Raises UserError when it cannot be
    written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "lock")
        lock.acquire()
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror}; choose another --results") from error
    try:
        yield
    finally:
        lock.release()
