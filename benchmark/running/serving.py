"""A worker's side of every launcher: it trains and scores the runs that it receives, and reports what happens."""

import logging
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial

from promptarena.benchmark.backbone.seal import SharedStateChangedError
from promptarena.benchmark.core.errors import UserError, message_of, printable
from promptarena.benchmark.core.runs import PlannedRun, RunResult
from promptarena.benchmark.running.execution import ExecutionConfig
from promptarena.benchmark.running.launcher import RunFailedError
from promptarena.benchmark.running.runner import Runner, TrainedRun

Report = tuple[int, dict[str, float] | RunResult | RunFailedError | None]
"""A worker's message: the number of a run in its group, and an epoch's curve, the run's result or error, or None when
the run starts. The number TOGETHER means: from now on it works on all started runs at once; LEAVING: it reports at most
one more result and ends."""

TOGETHER = -1
LEAVING = -2

log = logging.getLogger(__name__)


class Served:
    """Runs what it receives and reports the results.

    Args:
        execution: Where and how it runs.
        report: Called with each report.
    """

    def __init__(self, execution: ExecutionConfig, report: Callable[[Report], None]) -> None:
        self._execution = execution
        self._report = report

    @cached_property
    def _runner(self) -> Runner:
        return Runner(self._execution)

    def run(self, runs: Sequence[PlannedRun]) -> None:
        """Train and score runs of one method.

        Args:
            runs: The runs. Those for which no result is reported are to be run by another process.

        Raises:
            SharedStateChangedError: This process must run no other method.
        """
        ended = self._train_together(runs)
        for number, planned in enumerate(runs):
            if number not in ended:
                ended[number] = self._train(number, planned)
        trained = {number: run for number, run in ended.items() if run is not None}
        if not trained:
            return
        self._report((TOGETHER, None))
        try:
            outcomes = self._runner.score(list(trained.values()))
        except SharedStateChangedError as error:
            # Which of several runs did it is not known: each will be run alone.
            self._leave(next(iter(trained)) if len(trained) == 1 else None, error)
            raise
        except Exception as error:
            outcomes = [error for _ in trained]
        for number, outcome in zip(trained, outcomes, strict=True):
            self._report((number, failure_of(outcome) if isinstance(outcome, Exception) else outcome))

    def _train(self, number: int, planned: PlannedRun) -> TrainedRun | None:
        """Train the run alone. Returns None if it failed; the failure is reported."""
        self._report((number, None))
        try:
            return self._runner.train(planned, partial(self._tell_epoch, number))
        except SharedStateChangedError as error:
            self._leave(number, error)
            raise
        except Exception as error:  # a failing method must not end the comparison
            self._report((number, failure_of(error)))
            return None

    def _train_together(self, runs: Sequence[PlannedRun]) -> dict[int, TrainedRun | None]:
        """Train those runs that can be trained as one computation. Returns them by number; None for one that failed.

        A seed whose loss is not finite is reported as failed. After any other error nothing is returned, and all runs
        are then trained alone: a method's step may be one that torch cannot batch, or need too much memory at once.
        """
        chosen: list[int] = []
        try:
            chosen = self._runner.together(runs)
            for number in chosen:
                self._report((number, None))
            if not chosen:
                return {}
            self._report((TOGETHER, None))
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
                self._report((number, failure_of(outcome)))
            ended[number] = None if isinstance(outcome, Exception) else outcome
        return ended

    def _leave(self, number: int | None, error: SharedStateChangedError) -> None:
        self._report((LEAVING, None))
        if number is not None:
            self._report((number, failure_of(error)))

    def _tell_epoch(self, number: int, curve: Mapping[str, float]) -> None:
        self._report((number, dict(curve)))


def failure_of(error: Exception) -> RunFailedError:
    """What is reported of a run that ended with an error.

    Args:
        error: The error.

    Returns:
        Its line, its traceback, and whether the user's input caused it.
    """
    details = printable("".join(traceback.format_exception(error)))
    if isinstance(error, UserError | SharedStateChangedError):
        return RunFailedError(message_of(error), details, users_fault=isinstance(error, UserError))
    line = " ".join(f"{type(error).__name__}: {message_of(error)}".split())
    return RunFailedError(line, details, users_fault=False)
