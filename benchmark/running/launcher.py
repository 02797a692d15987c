"""What a launcher is, which events it reports about its runs, and who hears of them."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Protocol

from promptarena.benchmark.core.runs import PlannedRun, RunResult
from promptarena.benchmark.running.schedule import Schedule


class RunFailedError(RuntimeError):
    """A run ended with an error in its worker; `details` is the worker's traceback, `users_fault` whether the
    user's input caused it."""

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
    """A worker started a run."""

    run: PlannedRun


@dataclass(frozen=True)
class EpochDone:
    """A run finished an epoch; when it resumes after an interruption, earlier epochs are reported again.

    `checkpoint` is the file from which its training can be resumed, from a worker that cannot write to the results
    folder; None where the worker keeps it there, or where nothing changed since the last report.
    """

    run: PlannedRun
    curve: dict[str, float]
    checkpoint: bytes | None = None


@dataclass(frozen=True)
class Done:
    """A run ended, with a result or an error."""

    run: PlannedRun
    outcome: RunResult | RunFailedError


@dataclass(frozen=True)
class Quiet:
    """No event arrived for a while."""


Event = Started | EpochDone | Done | Quiet


class Launcher(Protocol):
    """Runs what is scheduled, on this machine or on others. It does not know the record."""

    @property
    def workers(self) -> int:
        """Number of groups of runs that it works on at the same time (>= 1)."""

    def preview(self, schedule: Schedule, seconds: Callable[[PlannedRun], float]) -> tuple[str, ...]:
        """What it would do with everything that is scheduled, for people to read; nothing is started.

        Args:
            schedule: Gives out groups of runs; it is empty afterwards.
            seconds: The expected time of a run; 0 where it is not known.

        Returns:
            Lines of text; none where the number of workers says all.
        """

    def launch(self, schedule: Schedule) -> Generator[Event, None, None]:
        """Run everything that is scheduled, and yield the events as they happen.

        Every run is Started once, may report epochs, and ends in one Done; a run that fails ends in a Done with its
        error and does not stop other runs. Quiet comes at least once a minute when nothing else does, so that the
        caller can keep its claims alive. Closing the generator ends all workers.

        Args:
            schedule: gives out groups of runs with `take`, until that is empty; runs of a lost worker go back with
                `put_back`.
        """


class Reporter(Protocol):
    """Receives the events of a comparison, to show them."""

    def started(self, run: PlannedRun) -> None:
        """A worker started a run."""

    def epoch(self, run: PlannedRun, curve: Mapping[str, float]) -> None:
        """A run finished an epoch."""

    def finished(self, run: PlannedRun, result: RunResult) -> None:
        """A run is recorded."""

    def failed(self, run: PlannedRun, error: RunFailedError) -> None:
        """A run ended with an error, which is recorded."""

    def taken(self, run: PlannedRun) -> None:
        """Another process began, or recorded, a run since the comparison was planned; it is left to that one."""

    def trained_again(self, run: PlannedRun, reason: str) -> None:
        """A run will be trained although its training was finished before: its kept learner cannot be used."""
