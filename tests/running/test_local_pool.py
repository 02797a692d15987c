"""Worker processes: what is lost with one is its own run."""

import signal
from types import SimpleNamespace
from typing import Any

from record_runs import plan

from promptarena.benchmark.core.runs import PlannedRun
from promptarena.benchmark.running.devices import CPU
from promptarena.benchmark.running.launcher import Done, RunFailedError
from promptarena.benchmark.running.local_pool import _Worker
from promptarena.benchmark.running.serving import TOGETHER

RUNS = [plan("small", seed=seed) for seed in (1, 2, 3)]


class Returned:
    """A schedule that keeps what comes back."""

    def __init__(self) -> None:
        self.runs: list[PlannedRun] = []
        self.alone = False

    def put_back(self, runs: list[PlannedRun], *, alone: bool) -> None:
        self.runs, self.alone = runs, alone


def dead(*reports: Any, exit_code: int = -signal.SIGKILL) -> tuple[_Worker, Done | None, Returned]:
    """A worker that was given RUNS, reported this much and died."""
    waiting, back = list(reports), Returned()
    pipe: Any = SimpleNamespace(send=lambda _: None, recv=lambda: waiting.pop(0))
    process: Any = SimpleNamespace(join=lambda: None, exitcode=exit_code)
    worker = _Worker(CPU, process, pipe)
    worker.give(RUNS)
    for _ in reports:
        worker.hear()
    return worker, worker.bury(back), back  # type: ignore[arg-type]


def test_the_run_that_was_trained_fails_and_the_others_are_run_by_another() -> None:
    worker, lost, back = dead((0, {"epoch": 1.0}), (1, None))
    assert lost is not None
    assert lost.run == RUNS[1]
    assert str(lost.outcome) == "the worker process died: killed by SIGKILL (out of memory?)"
    assert (back.runs, back.alone) == ([RUNS[0], RUNS[2]], False)
    assert worker.left == {}


def test_of_several_at_once_none_is_blamed_and_each_is_tried_alone() -> None:
    _, lost, back = dead((1, None), (2, None), (TOGETHER, None))
    assert lost is None
    assert (back.runs, back.alone) == (RUNS, True)


def test_the_last_one_at_work_is_known_even_while_scoring() -> None:
    failed = RunFailedError("no", "", users_fault=False)
    _, lost, back = dead((TOGETHER, None), (0, failed), (2, failed), exit_code=3)
    assert lost is not None
    assert lost.run == RUNS[1]
    assert str(lost.outcome) == "the worker process died: exit code 3"
    assert back.runs == []
