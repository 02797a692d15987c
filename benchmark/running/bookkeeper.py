"""Writes the events of a comparison into its record, also where the record's server goes away for a while."""

import logging
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TypeVar

from promptarena.benchmark.core.errors import UserError, message_of
from promptarena.benchmark.core.files import write_atomically
from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.core.runs import PlannedRun, RunResult
from promptarena.benchmark.planning.estimates import Estimator
from promptarena.benchmark.planning.suites import Suite
from promptarena.benchmark.recording.index import RecordedRun
from promptarena.benchmark.recording.record import ParentRuns, Record, RunTakenError, StoreAwayError
from promptarena.benchmark.running.execution import CHECKPOINT, training_folder
from promptarena.benchmark.running.kept_learners import hand_over
from promptarena.benchmark.running.launcher import Done, EpochDone, Event, Quiet, Reporter, RunFailedError, Started
from promptarena.benchmark.running.outbox import Outbox

SECONDS_BETWEEN_HEARTBEATS = 60.0
PATIENCE_SECONDS = 150.0
"""How long a server that does not answer is tried again, before what is computed goes to the outbox."""

LONGEST_PAUSE = 20.0
T = TypeVar("T")
log = logging.getLogger(__name__)


class Bookkeeper:
    """Claims runs, records what happens to them, and shows it.

    Args:
        suite: The suite.
        missing: The runs that may be claimed.
        kept: By the key of a training, a finished run whose learner is scored again.
        parents: The runs in the record that those of each method hang under.
        record: The record.
        results: The folder of unfinished trainings and of the outbox.
        estimator: Learns from finished runs.
        reporter: Shows the events.

    Attributes:
        failures: The failed runs with their errors.
        waiting: Number of results that wait in the outbox, since the record does not answer any more; None as long as
            it does.
    """

    def __init__(
        self,
        suite: Suite,
        missing: Sequence[PlannedRun],
        kept: Mapping[str, RecordedRun],
        parents: Mapping[Label, ParentRuns],
        record: Record,
        results: Path,
        estimator: Estimator,
        reporter: Reporter,
    ) -> None:
        self.failures: list[tuple[PlannedRun, RunFailedError]] = []
        self.waiting: int | None = None
        self.outbox = Outbox(results)
        self._suite = suite
        self._backbone = suite.backbone.architecture or Path(suite.backbone.weights or "").stem
        self._kept = dict(kept)
        self._parents = parents
        self._record = record
        self._results = results
        self._estimator = estimator
        self._reporter = reporter
        self._ids: dict[str, str] = {}
        self._unfinished = Counter(run.train_key for run in missing)
        self._beaten = time.monotonic()

    def claim(self, run: PlannedRun) -> bool:
        """Claim a run for this process.

        Args:
            run: The run.

        Returns:
            False when another process has it, or when the record does not answer any more. If its learner is kept, it
            lies in the folder of the training then.
        """
        if run.key in self._ids:  # it goes to a second worker, as the first one died
            return True
        if self.waiting is not None:
            return False
        begin = partial(self._record.begin, run, self._parents[run.spec.name], self._backbone, self._suite.miniature)
        try:
            self._ids[run.key] = self._patiently(begin)
        except RunTakenError:
            self._unfinished[run.train_key] -= 1
            self._reporter.taken(run)
            return False
        except StoreAwayError:
            return False
        return self._hand_over(run) if run.train_key in self._kept else True

    def handle(self, event: Event) -> None:
        """Record an event and show it.

        Args:
            event: The event, of a claimed run.

        Raises:
            UserError: The record fails for another reason than that it does not answer.
        """
        match event:
            case Started(run):
                self._reporter.started(run)
            case EpochDone(run, curve, checkpoint):
                if checkpoint is not None:
                    write_atomically(training_folder(self._results, run) / CHECKPOINT, checkpoint)
                self._if_there(lambda: self._record.log_epochs(self._ids[run.key], [curve]))
                self._reporter.epoch(run, curve)
            case Done(run, RunFailedError() as error):
                self._fail(run, error)
            case Done(run, RunResult() as result):
                self._finish(run, result)
            case Quiet():
                pass
        if time.monotonic() - self._beaten > SECONDS_BETWEEN_HEARTBEATS:
            self._beaten = time.monotonic()
            for run_id in self._ids.values():
                self._if_there(partial(self._record.heartbeat, run_id))

    def _hand_over(self, run: PlannedRun) -> bool:
        """Lay out the kept learner of a claimed run's training; False when the record does not answer."""
        finished, folder = self._kept.pop(run.train_key), training_folder(self._results, run)
        try:
            self._patiently(partial(hand_over, self._record, finished, run, folder))
        except StoreAwayError:
            del self._ids[run.key]  # no worker gets it; the next command takes it over
            return False
        except UserError as error:
            self._reporter.trained_again(run, message_of(error))
        return True

    def _fail(self, run: PlannedRun, error: RunFailedError) -> None:
        run_id = self._ids.pop(run.key)
        self.failures.append((run, error))
        if self._if_there(lambda: self._record.fail(run_id, error)):
            self.outbox.remove(run.key)
        self._reporter.failed(run, error)

    def _finish(self, run: PlannedRun, result: RunResult) -> None:
        try:
            recorded = self._if_there(lambda: self._record.finish(self._ids[run.key], result, planned=run))
        except ValueError as refused:  # what the method produced makes no sense
            self._fail(run, RunFailedError(message_of(refused), "", users_fault=False))
            return
        del self._ids[run.key]
        if recorded:
            self.outbox.remove(run.key)  # where a worker had handed it in
        else:
            self.outbox.post_outcome(run.key, result)
            self.waiting = (self.waiting or 0) + 1
        self._estimator.learn(run.spec.label, asdict(result.cost))
        self._reporter.finished(run, result)
        self._unfinished[run.train_key] -= 1
        if not self._unfinished[run.train_key]:
            folder = training_folder(self._results, run)
            remove = partial(shutil.rmtree, folder, ignore_errors=True)
            self._if_there(lambda: self._record.release(run, remove))

    def _if_there(self, action: Callable[[], object]) -> bool:
        """Do something with the record; False when it does not answer."""
        if self.waiting is not None:
            return False
        try:
            self._patiently(action)
        except StoreAwayError:
            return False
        return True

    def _patiently(self, action: Callable[[], T]) -> T:
        """Try again with growing pauses while the record does not answer. Raises StoreAwayError when it stays away."""
        began, pause = time.monotonic(), 1.0
        while True:
            try:
                found = action()
            except StoreAwayError as error:
                if time.monotonic() - began + pause > PATIENCE_SECONDS:
                    self.waiting = 0
                    raise
                if pause == 1.0:
                    log.warning("%s; trying again for %.0f s", message_of(error), PATIENCE_SECONDS)
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                return found
