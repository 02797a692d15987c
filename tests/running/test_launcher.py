"""A comparison knows its launcher by the protocol only: another one gives the same figures."""

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import e2e_record
from e2e_world import make_world

from promptarena.benchmark.core.runs import PlannedRun
from promptarena.benchmark.planning.request import Request
from promptarena.benchmark.recording.record import Record, RecordPlace
from promptarena.benchmark.running.comparison import plan_comparison, run_comparison
from promptarena.benchmark.running.execution import ExecutionConfig
from promptarena.benchmark.running.launcher import Done, EpochDone, Event, Launcher, RunFailedError, Started
from promptarena.benchmark.running.local import LocalPool
from promptarena.benchmark.running.runner import Runner
from promptarena.benchmark.running.schedule import Schedule


@dataclass(frozen=True)
class InProcess:
    """A launcher in this process: one run after the other."""

    execution: ExecutionConfig
    workers: int = 1

    def launch(self, schedule: Schedule) -> Generator[Event, None, None]:
        runner = Runner(self.execution)
        while schedule:
            for run in schedule.take():
                yield Started(run)
                curves: list[dict[str, float]] = []
                trained = runner.train(run, lambda curve, seen=curves: seen.append(dict(curve)))
                yield from (EpochDone(run, curve) for curve in curves)
                (outcome,) = runner.score([trained])
                assert not isinstance(outcome, Exception)
                yield Done(run, outcome)


class Silent:
    """Shows nothing, and keeps what ended."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    def started(self, run: PlannedRun) -> None: ...

    def epoch(self, run: PlannedRun, curve: Any) -> None: ...

    def finished(self, run: PlannedRun, result: Any) -> None:
        self.ended.append(run.key)

    def taken(self, run: PlannedRun) -> None: ...

    def trained_again(self, run: PlannedRun, reason: str) -> None: ...

    def failed(self, run: PlannedRun, error: RunFailedError) -> None:
        raise error


def figures_by(launcher: type, suite: Path, folder: Path, **arguments: int) -> dict[str, Any]:
    place = ExecutionConfig(str(suite), results=folder / "results", cache=folder / "cache", device="cpu")
    record = Record.open(RecordPlace(place.results))
    requested = Request(methods=("zeroshot", "coop"), protocols=("base-to-novel",))
    comparison = plan_comparison(requested, place, record)
    chosen: Launcher = launcher(place, **arguments)
    reporter = Silent()
    assert run_comparison(comparison, chosen, record, place.results, reporter) == []
    assert sorted(reporter.ended) == sorted(run.key for run in comparison.runs)
    assert plan_comparison(requested, place, record).missing() == []
    return e2e_record.figures(place.results)


def test_another_launcher_gives_the_same_figures(tmp_path: Path) -> None:
    suite = make_world(tmp_path / "world", seeds=(1, 2))
    here = figures_by(InProcess, suite, tmp_path / "here")
    pool = figures_by(LocalPool, suite, tmp_path / "pool", workers=2)
    assert here == pool
    assert len(here) == 3
