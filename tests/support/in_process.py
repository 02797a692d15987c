"""Comparisons in this process, one run after the other: quick, as nothing is imported again."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from promptarena.benchmark.core.runs import PlannedRun
from promptarena.benchmark.planning.request import Request
from promptarena.benchmark.recording.record import Record, RecordPlace
from promptarena.benchmark.running.comparison import Comparison, plan_comparison, run_comparison
from promptarena.benchmark.running.execution import ExecutionConfig
from promptarena.benchmark.running.launcher import Done, EpochDone, Event, RunFailedError, Started
from promptarena.benchmark.running.runner import Runner
from promptarena.benchmark.running.schedule import Schedule


@dataclass(frozen=True)
class InProcess:
    """A launcher in this process."""

    execution: ExecutionConfig
    workers: int = 1

    def preview(self, schedule: Schedule, seconds: Callable[[PlannedRun], float]) -> tuple[str, ...]:
        return ()

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


@dataclass
class Silent:
    """Shows nothing; keeps what ended, and why runs were trained again."""

    ended: list[str] = field(default_factory=list)
    again: list[str] = field(default_factory=list)

    def started(self, run: PlannedRun) -> None: ...

    def epoch(self, run: PlannedRun, curve: Any) -> None: ...

    def finished(self, run: PlannedRun, result: Any) -> None:
        self.ended.append(run.key)

    def taken(self, run: PlannedRun) -> None: ...

    def trained_again(self, run: PlannedRun, reason: str) -> None:
        self.again.append(reason)

    def failed(self, run: PlannedRun, error: RunFailedError) -> None:
        raise error


def compared(
    suite: Path, results: Path, protocol: str, *, methods: tuple[str, ...] = ("zeroshot", "coop"), keep: bool = True
) -> tuple[Comparison, Silent]:
    """Compare methods under a protocol; the comparison as it was planned, and what was reported."""
    place = ExecutionConfig(str(suite), results=results, cache=results.parent / "cache", device="cpu", predictions=keep)
    record = Record.open(RecordPlace(place.results))
    request = Request(methods=methods, protocols=(protocol,))
    comparison, reporter = plan_comparison(request, place, record), Silent()
    assert run_comparison(comparison, InProcess(place), record, place.results, reporter) == []
    return comparison, reporter
