"""Local execution: worker processes that each carry out one run at a time and report over a pipe.

A worker ends as soon as its parent is gone; a worker that dies takes down its own run only.
"""

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from promptarena.benchmark.errors import UserError
from promptarena.benchmark.execution import Executor, Workplace
from promptarena.benchmark.spec import PlannedRun, RunResult

QUIET_SECONDS = 60.0
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class RunFailedError(RuntimeError):
    """A run ended with an error in its worker; `details` is the worker's traceback, `users_fault` whether it is bad
    input."""

    def __init__(self, message: str, details: str, users_fault: bool) -> None:
        super().__init__(message, details, users_fault)
        self.details = details
        self.users_fault = users_fault
        if details:
            self.add_note(details)

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True)
class Started:
    """A worker took up a run."""

    run: PlannedRun


@dataclass(frozen=True)
class EpochDone:
    """A run finished an epoch; on going on after an interruption, earlier epochs are reported again."""

    run: PlannedRun
    curve: dict[str, float]


@dataclass(frozen=True)
class Done:
    """A run ended, with a result or an error."""

    run: PlannedRun
    outcome: RunResult | RunFailedError


@dataclass(frozen=True)
class Quiet:
    """Nothing was heard for a while."""


Event = Started | EpochDone | Done | Quiet


@dataclass
class _Worker:
    process: SpawnProcess
    pipe: "Connection[Any, Any]"
    queue: list[PlannedRun] = field(default_factory=list)


def carry_out(
    groups: Sequence[Sequence[PlannedRun]], workplace: Workplace, workers: int
) -> Generator[Event, None, None]:
    """Run all groups on `workers` processes and yield what happens, as it happens.

    The runs of a group go to one worker in order, since they share a training. Closing the iterator ends the workers.
    """
    context = multiprocessing.get_context("spawn")
    pending = [list(group) for group in groups if group]
    active: list[_Worker] = []
    try:
        while pending or active:
            while pending and len(active) < workers:
                active.append(_start(context, workplace))
                yield _give(active[-1], pending.pop(0))
            ready = wait([worker.pipe for worker in active], QUIET_SECONDS)
            if not ready:
                yield Quiet()
            for worker in [worker for worker in active if worker.pipe in ready]:
                event = _receive(worker)
                yield event
                if isinstance(event, EpochDone):
                    continue
                rest = worker.queue[1:]
                if worker.process.is_alive() and (rest or pending):
                    yield _give(worker, rest or pending.pop(0))
                    continue
                if rest:
                    pending.insert(0, rest)
                active.remove(worker)
                _end(worker)
    finally:
        for worker in active:
            _end(worker)


def _start(context: Any, workplace: Workplace) -> _Worker:
    ours, theirs = context.Pipe()
    with _environment(dict.fromkeys(THREADS, str(workplace.threads))), _without_interrupts():
        process = context.Process(target=_work, args=(theirs, workplace), daemon=True)
        process.start()
    theirs.close()
    return _Worker(process, ours)


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
    """Processes started inside never see Ctrl-C, which a terminal sends to all: ending them is the parent's part."""
    resource_tracker.ensure_running()  # started within, it would let interrupts in again
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def _give(worker: _Worker, queue: list[PlannedRun]) -> Started:
    worker.queue = queue
    with suppress(ConnectionError):  # a worker that is gone is found out when its report is due
        worker.pipe.send(queue[0])
    return Started(queue[0])


def _end(worker: _Worker) -> None:
    worker.pipe.close()
    worker.process.terminate()
    worker.process.join()


def _receive(worker: _Worker) -> EpochDone | Done:
    run = worker.queue[0]
    try:
        message = worker.pipe.recv()
    except (EOFError, OSError):  # of a report cut short too
        worker.process.join()
        reason = _reason(worker.process.exitcode or 0)
        return Done(run, RunFailedError(f"the worker process died: {reason}", "", users_fault=False))
    return EpochDone(run, message) if isinstance(message, dict) else Done(run, message)


def _reason(exit_code: int) -> str:
    if exit_code >= 0:
        return f"exit code {exit_code}"
    hint = " (out of memory?)" if exit_code == -signal.SIGKILL else ""
    return f"killed by {signal.Signals(-exit_code).name}{hint}"


def _work(pipe: "Connection[Any, Any]", workplace: Workplace) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    executor: Executor | None = None
    while True:
        try:
            planned = pipe.recv()
        except EOFError:
            return
        outcome: RunResult | RunFailedError
        try:
            executor = executor or Executor(workplace)
            outcome = executor.run(planned, lambda curve: pipe.send(dict(curve)))
        except (BrokenPipeError, ConnectionResetError):
            return
        except UserError as error:
            outcome = RunFailedError(str(error), traceback.format_exc(), users_fault=True)
        except Exception as error:  # a method's own failure must not end the comparison
            line = " ".join(f"{type(error).__name__}: {error}".split())
            outcome = RunFailedError(line, traceback.format_exc(), users_fault=False)
        pipe.send(outcome)


def _end_with_parent() -> None:
    """A killed parent cannot end its workers, and a run may not report for minutes."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
