"""Local execution: worker processes train runs one by one, score them together, and report over a pipe.

A worker ends as soon as its parent is gone; if a worker dies, only its own run fails. A worker whose backbone or
process was changed by a method ends after it, and another worker runs what is left.
"""

import logging
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import ModuleType
from typing import Any

from promptarena.benchmark.backbone.seal import SharedStateChangedError
from promptarena.benchmark.core.errors import UserError, message_of, printable
from promptarena.benchmark.core.runs import PlannedRun, RunResult
from promptarena.benchmark.running.execution import ExecutionConfig
from promptarena.benchmark.running.launcher import Done, EpochDone, Event, Quiet, RunFailedError, Started
from promptarena.benchmark.running.runner import Runner, TrainedRun
from promptarena.benchmark.running.schedule import Schedule

QUIET_SECONDS = 60.0
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

log = logging.getLogger(__name__)

Report = tuple[int, dict[str, float] | RunResult | RunFailedError | None]
"""A worker's message: the number of a run in its group, and an epoch's curve, the run's result or error, or None when
the run starts. The number TOGETHER means: from now on it works on all started runs at once; LEAVING: it reports at most
one more result and ends."""

TOGETHER = -1
LEAVING = -2


class _Worker:
    """A process and its group of runs. `left`: the unfinished runs by number; `training`: the number of the run that it
    trains, or None while it trains several together or scores all; `leaving`: whether it takes no more runs."""

    def __init__(self, process: SpawnProcess, pipe: "Connection[Any, Any]") -> None:
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
    """A launcher: a number of worker processes on this machine."""

    execution: ExecutionConfig
    workers: int

    def launch(self, schedule: Schedule) -> Generator[Event, None, None]:
        """See Launcher. A run that is repeated after its worker died is not reported as Started again."""
        yield from _run(schedule, self.execution, self.workers)


def _run(schedule: Schedule, execution: ExecutionConfig, workers: int) -> Generator[Event, None, None]:
    context = multiprocessing.get_context("spawn")
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
            while len(active) < workers and (runs := schedule.take()):
                active.append(_start(context, execution))
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
    finally:
        for worker in active:
            _end(worker)


def _start(context: Any, execution: ExecutionConfig) -> _Worker:
    ours, theirs = context.Pipe()
    with _environment(dict.fromkeys(THREADS, str(execution.threads))), _without_interrupts(), _without_main():
        process = context.Process(target=_work, args=(theirs, execution), daemon=True)
        process.start()
    theirs.close()
    return _Worker(process, ours)


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
    """Processes started inside ignore Ctrl-C, which a terminal sends to all processes: the parent ends them."""
    resource_tracker.ensure_running()  # if it starts inside, it unblocks interrupts again
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def _end(worker: _Worker) -> None:
    worker.pipe.close()
    worker.process.terminate()
    worker.process.join()


def _reason(exit_code: int) -> str:
    if exit_code >= 0:
        return f"exit code {exit_code}"
    hint = " (out of memory?)" if exit_code == -signal.SIGKILL else ""
    return f"killed by {signal.Signals(-exit_code).name}{hint}"


def _work(pipe: "Connection[Any, Any]", execution: ExecutionConfig) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    served = _Served(pipe, execution)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            try:
                served.run(pipe.recv())
            except SharedStateChangedError:
                os._exit(0)  # at once: what a method changed may also keep the interpreter from ending


class _Served:
    """The worker's side: runs what it receives and reports the results."""

    def __init__(self, pipe: "Connection[Any, Any]", execution: ExecutionConfig) -> None:
        self._pipe = pipe
        self._execution = execution

    @cached_property
    def _runner(self) -> Runner:
        return Runner(self._execution)

    def run(self, runs: list[PlannedRun]) -> None:
        """Train and score runs of one method.

        Raises SharedStateChangedError when this process must run no other method. Runs without a reported result are to
        be run by another one.
        """
        ended = self._train_together(runs)
        for number, planned in enumerate(runs):
            if number not in ended:
                ended[number] = self._train(number, planned)
        trained = {number: run for number, run in ended.items() if run is not None}
        if not trained:
            return
        self._pipe.send((TOGETHER, None))
        try:
            outcomes = self._runner.score(list(trained.values()))
        except SharedStateChangedError as error:
            # Which of several runs did it is not known: each will be run alone.
            self._leave(next(iter(trained)) if len(trained) == 1 else None, error)
            raise
        except Exception as error:
            outcomes = [error for _ in trained]
        for number, outcome in zip(trained, outcomes, strict=True):
            self._pipe.send((number, _failure(outcome) if isinstance(outcome, Exception) else outcome))

    def _train(self, number: int, planned: PlannedRun) -> TrainedRun | None:
        """Train the run alone. Returns None if it failed; the failure is reported."""
        self._pipe.send((number, None))
        try:
            return self._runner.train(planned, partial(self._tell_epoch, number))
        except SharedStateChangedError as error:
            self._leave(number, error)
            raise
        except Exception as error:  # a failing method must not end the comparison
            self._pipe.send((number, _failure(error)))
            return None

    def _train_together(self, runs: list[PlannedRun]) -> dict[int, TrainedRun | None]:
        """Train those runs that can be trained as one computation. Returns them by number; None for one that failed.

        A seed whose loss is not finite is reported as failed. After any other error nothing is returned, and all runs
        are then trained alone: a method's step may be one that torch cannot batch, or need too much memory at once.
        """
        chosen: list[int] = []
        try:
            chosen = self._runner.together(runs)
            for number in chosen:
                self._pipe.send((number, None))
            if not chosen:
                return {}
            self._pipe.send((TOGETHER, None))
            found = self._runner.train_together(
                [runs[number] for number in chosen], lambda place, curve: self._tell_epoch(chosen[place], curve)
            )
        except SharedStateChangedError as error:
            self._leave(None, error)
            raise
        except UserError:
            return {}  # each run alone reports it
        except Exception as error:
            line = " ".join(f"{type(error).__name__}: {message_of(error)}".split())
            log.warning("%s: its seeds are trained one by one: together they fail (%s)", runs[0].spec.method, line)
            return {}
        ended: dict[int, TrainedRun | None] = {}
        for number, outcome in zip(chosen, found, strict=True):
            if isinstance(outcome, Exception):
                self._pipe.send((number, _failure(outcome)))
            ended[number] = None if isinstance(outcome, Exception) else outcome
        return ended

    def _leave(self, number: int | None, error: SharedStateChangedError) -> None:
        self._pipe.send((LEAVING, None))
        if number is not None:
            self._pipe.send((number, _failure(error)))

    def _tell_epoch(self, number: int, curve: Mapping[str, float]) -> None:
        self._pipe.send((number, dict(curve)))


def _failure(error: Exception) -> RunFailedError:
    details = printable("".join(traceback.format_exception(error)))
    if isinstance(error, UserError | SharedStateChangedError):
        return RunFailedError(message_of(error), details, users_fault=isinstance(error, UserError))
    line = " ".join(f"{type(error).__name__}: {message_of(error)}".split())
    return RunFailedError(line, details, users_fault=False)


def _end_with_parent() -> None:
    """End this process when its parent is gone: a killed parent cannot end it, and reports may take minutes."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
