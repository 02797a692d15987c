"""Local execution: worker processes train runs one by one, score them together, and report over a pipe.

Each worker has one device; the successor of a worker gets the device of the one that ended. A worker ends as soon as
its parent is gone; if a worker dies, only its own run fails. A worker whose backbone or process was changed by a method
ends after it, and another worker runs what is left.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import ModuleType
from typing import Any

from promptarena.benchmark.backbone.seal import SharedStateChangedError
from promptarena.benchmark.core.runs import PlannedRun
from promptarena.benchmark.running.devices import Device
from promptarena.benchmark.running.execution import ExecutionConfig
from promptarena.benchmark.running.launcher import Done, EpochDone, Event, Quiet, RunFailedError, Started
from promptarena.benchmark.running.schedule import Schedule
from promptarena.benchmark.running.serving import LEAVING, TOGETHER, Served

QUIET_SECONDS = 60.0
FOR_THE_PARENT = {signal.SIGINT, signal.SIGTERM, signal.SIGUSR2}
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class _Worker:
    """A process and its group of runs. `left`: the unfinished runs by number; `training`: the number of the run that it
    trains, or None while it trains several together or scores all; `leaving`: whether it takes no more runs."""

    def __init__(self, device: Device, process: SpawnProcess, pipe: "Connection[Any, Any]") -> None:
        self.device = device
        self.process = process
        self.pipe = pipe
        self.left: dict[int, PlannedRun] = {}
        self.training: int | None = None
        self.leaving = False

    def give(self, runs: list[PlannedRun]) -> Started:
        """Send runs to the worker, which starts the first one at once."""
        self.left, self.training = dict(enumerate(runs)), 0
        with suppress(ConnectionError):  # that the worker died is noticed when its next report is read
            self.pipe.send(runs)
        return Started(runs[0])

    def hear(self) -> Started | EpochDone | Done | None:
        """The event of its next report. Raises EOFError or OSError if it died, even in the middle of a report."""
        number, what = self.pipe.recv()
        if number == TOGETHER:
            self.training = None
            return None
        if number == LEAVING:
            self.leaving = True
            return None
        if what is None:
            self.training = number
            return Started(self.left[number])
        if isinstance(what, dict):
            return EpochDone(self.left[number], what)
        return Done(self.left.pop(number), what)

    def bury(self, schedule: Schedule) -> Done | None:
        """Clean up after a worker that died: its failed run, if known; the other runs go back to the schedule.

        If it was working on several runs at once, each of them is tried again alone.
        """
        self.process.join()
        if self.training is None and len(self.left) == 1:
            (self.training,) = self.left
        lost = None if self.training is None else self.left.pop(self.training, None)
        schedule.put_back(list(self.left.values()), alone=self.training is None)
        self.left = {}
        if lost is None:
            return None
        reason = _reason(self.process.exitcode or 0)
        return Done(lost, RunFailedError(f"the worker process died: {reason}", "", users_fault=False))


@dataclass(frozen=True)
class LocalPool:
    """A launcher: worker processes on this machine.

    Args:
        execution: How they run; its `device` is replaced by each worker's own.
        devices: The device of each worker.
    """

    execution: ExecutionConfig
    devices: tuple[Device, ...]

    @property
    def workers(self) -> int:
        """The number of worker processes."""
        return len(self.devices)

    def preview(self, schedule: Schedule, seconds: Callable[[PlannedRun], float]) -> tuple[str, ...]:
        """See Launcher."""
        return ()

    def launch(self, schedule: Schedule) -> Generator[Event, None, None]:
        """See Launcher. A run that is repeated after its worker died is not reported as Started again."""
        yield from _run(schedule, self.execution, self.devices)


def _run(schedule: Schedule, execution: ExecutionConfig, devices: tuple[Device, ...]) -> Generator[Event, None, None]:
    context = multiprocessing.get_context("spawn")
    free = list(devices)
    active: list[_Worker] = []
    begun: set[str] = set()

    def news(event: Event | None) -> Iterator[Event]:
        if event is None or (isinstance(event, Started) and event.run.key in begun):
            return
        if isinstance(event, Started):
            begun.add(event.run.key)
        yield event

    try:
        while schedule or active:
            while free and (runs := schedule.take()):
                active.append(_start(context, execution, free.pop(0)))
                yield from news(active[-1].give(runs))
            if not active:
                continue
            ready = wait([worker.pipe for worker in active], QUIET_SECONDS)
            if not ready:
                yield Quiet()
            for worker in [worker for worker in active if worker.pipe in ready]:
                try:
                    yield from news(worker.hear())
                except (EOFError, OSError):
                    yield from news(worker.bury(schedule))
                if worker.left:
                    continue
                if not worker.leaving and worker.process.is_alive() and (runs := schedule.take()):
                    yield from news(worker.give(runs))
                    continue
                active.remove(worker)
                _end(worker)
                free.append(worker.device)
    finally:
        for worker in active:
            _end(worker)


def _start(context: Any, execution: ExecutionConfig, device: Device) -> _Worker:
    ours, theirs = context.Pipe()
    own = replace(execution, device=device.torch)
    variables = dict.fromkeys(THREADS, str(execution.threads)) | device.environment
    with _environment(variables), _without_interrupts(), _without_main():
        process = context.Process(target=_work, args=(theirs, own), daemon=True)
        process.start()
    theirs.close()
    return _Worker(device, process, ours)


@contextmanager
def _without_main() -> Iterator[None]:
    """Hide the main module from a process that starts: it would run a user's script again, which may compare again."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    previous = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in previous.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Processes started inside ignore what a terminal or SLURM sends to all processes: the parent ends them."""
    resource_tracker.ensure_running()  # if it starts inside, it unblocks interrupts again
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, FOR_THE_PARENT)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def _end(worker: _Worker) -> None:
    worker.pipe.close()
    worker.process.kill()  # not SIGTERM, which workers ignore; what they write is complete or not there
    worker.process.join()


def _reason(exit_code: int) -> str:
    if exit_code >= 0:
        return f"exit code {exit_code}"
    hint = " (out of memory?)" if exit_code == -signal.SIGKILL else ""
    return f"killed by {signal.Signals(-exit_code).name}{hint}"


def _work(pipe: "Connection[Any, Any]", execution: ExecutionConfig) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    served = Served(execution, pipe.send)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            try:
                served.run(pipe.recv())
            except SharedStateChangedError:
                os._exit(0)  # at once: what a method changed may also keep the interpreter from ending


def _end_with_parent() -> None:
    """End this process when its parent is gone: a killed parent cannot end it, and reports may take minutes."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
