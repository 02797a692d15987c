"""What a launcher is and what it says about the runs that it carries out."""

from dataclasses import dataclass

from promptarena.benchmark.core.runs import PlannedRun, RunResult


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
