"""The events of a comparison as JSON lines, for programs, and a reporter that shows nothing."""

import json
from collections.abc import Mapping
from types import TracebackType
from typing import IO, Any, Self

from promptarena.benchmark.core.runs import PlannedRun, RunResult
from promptarena.benchmark.running.comparison import Comparison
from promptarena.benchmark.running.launcher import RunFailedError


class Silent:
    """A context manager that receives the events of a comparison and shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def planned(self, comparison: Comparison, workers: int) -> None:
        """The comparison is planned."""

    def started(self, run: PlannedRun) -> None:
        """A worker started a run."""

    def epoch(self, run: PlannedRun, curve: Mapping[str, float]) -> None:
        """A run finished an epoch."""

    def finished(self, run: PlannedRun, result: RunResult) -> None:
        """A run is recorded."""

    def failed(self, run: PlannedRun, error: RunFailedError) -> None:
        """A run failed."""

    def taken(self, run: PlannedRun) -> None:
        """Another process has the run."""

    def trained_again(self, run: PlannedRun, reason: str) -> None:
        """The run's kept learner cannot be used."""


class JsonEvents(Silent):
    """Writes each event as a line of JSON.

    Args:
        stream: Where the lines go.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def planned(self, comparison: Comparison, workers: int) -> None:
        """Write how many runs there are, and what the user must know."""
        self.write(
            "planned",
            suite=comparison.suite.name,
            runs=len(comparison.runs),
            done=len(comparison.done()),
            missing=len(comparison.missing()),
            elsewhere=len(comparison.elsewhere()),
            workers=workers,
            notes=comparison.notes,
            failed=comparison.failed,
        )

    def started(self, run: PlannedRun) -> None:
        """Write which run."""
        self.write("started", **described(run))

    def epoch(self, run: PlannedRun, curve: Mapping[str, float]) -> None:
        """Write the epoch's figures."""
        self.write("epoch", **described(run), curve=dict(curve))

    def finished(self, run: PlannedRun, result: RunResult) -> None:
        """Write the counts of right answers and images, and the seconds."""
        scores = [
            {
                "dataset": score.target.dataset,
                "subset": score.target.subset,
                "reading": score.reading,
                "correct": sum(score.correct),
                "total": sum(score.total),
            }
            for score in result.scores
        ]
        cost = result.cost
        self.write("finished", **described(run), scores=scores, seconds=cost.train_seconds + cost.eval_seconds)

    def failed(self, run: PlannedRun, error: RunFailedError) -> None:
        """Write the reason."""
        self.write("failed", **described(run), error=str(error))

    def taken(self, run: PlannedRun) -> None:
        """Write which run."""
        self.write("taken", **described(run))

    def trained_again(self, run: PlannedRun, reason: str) -> None:
        """Write which run, and the reason."""
        self.write("trained_again", **described(run), reason=reason)

    def write(self, event: str, **values: Any) -> None:
        """Write a line.

        Args:
            event: What happened.
            values: The other fields of the line, which JSON can hold.
        """
        print(json.dumps({"event": event, **values}, ensure_ascii=False), file=self._stream, flush=True)


def described(run: PlannedRun) -> dict[str, Any]:
    """Which run, as plain values: key, method, label, protocol, dataset, subset, shots and seed."""
    spec = run.spec
    fields = ("method", "label", "protocol", "dataset", "subset", "shots", "seed")
    return {"key": run.key, **{name: getattr(spec, name) for name in fields}}
