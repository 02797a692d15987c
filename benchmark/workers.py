"""Local execution: worker processes that each carry out one run at a time and report over a pipe.

A worker whose parent is gone ends at its next report; a worker that dies takes down its own run only.
"""

import multiprocessing
import os
import signal
import traceback
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from promptarena.benchmark.errors import UserError
from promptarena.benchmark.execution import Executor, Workplace
from promptarena.benchmark.spec import PlannedRun, RunResult

ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class RunFailedError(RuntimeError):
    """A run ended with an error in its worker; `details` is the worker's traceback, `users_fault` whether it is bad
    input."""

    def __init__(self, message: str, details: str, users_fault: bool) -> None:
        super().__init__(message)
        self.details = details
        self.users_fault = users_fault


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


Event = Started | EpochDone | Done


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
                active.append(_start(context, workplace, pending.pop(0)))
                yield Started(active[-1].queue[0])
            for pipe in wait([worker.pipe for worker in active]):
                worker = next(worker for worker in active if worker.pipe is pipe)
                event = _receive(worker)
                yield event
                if isinstance(event, EpochDone):
                    continue
                worker.queue.pop(0)
                if not worker.process.is_alive() and (worker.queue or pending):
                    active.remove(worker)
                    pending[:0] = [worker.queue] if worker.queue else []
                elif worker.queue or pending:
                    worker.queue = worker.queue or pending.pop(0)
                    worker.pipe.send(worker.queue[0])
                    yield Started(worker.queue[0])
                else:
                    _end(worker)
                    active.remove(worker)
    finally:
        for worker in active:
            _end(worker)


def _start(context: Any, workplace: Workplace, group: list[PlannedRun]) -> _Worker:
    ours, theirs = context.Pipe()
    previous = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(dict.fromkeys(ONE_THREAD, str(workplace.threads)))
    try:
        process = context.Process(target=_work, args=(theirs, workplace), daemon=True)
        process.start()
    finally:
        for name, value in previous.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    theirs.close()
    ours.send(group[0])
    return _Worker(process, ours, group)


def _end(worker: _Worker) -> None:
    worker.pipe.close()
    worker.process.terminate()
    worker.process.join()


def _receive(worker: _Worker) -> EpochDone | Done:
    run = worker.queue[0]
    try:
        message = worker.pipe.recv()
    except (EOFError, ConnectionResetError):
        worker.process.join()
        code = worker.process.exitcode or 0
        reason = f"killed by {signal.Signals(-code).name} (out of memory?)" if code < 0 else f"exit code {code}"
        return Done(run, RunFailedError(f"the worker process died: {reason}", "", users_fault=False))
    return EpochDone(run, message) if isinstance(message, dict) else Done(run, message)


def _work(pipe: "Connection[Any, Any]", workplace: Workplace) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
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
            outcome = RunFailedError(f"{type(error).__name__}: {error}", traceback.format_exc(), users_fault=False)
        pipe.send(outcome)
