"""Finished runs that keep no predictions: their learners are scored again, and the predictions join the record."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from promptarena.benchmark.backbone.seal import SharedStateChangedError
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.runs import RunResult, StoredResult
from promptarena.benchmark.recording.index import RecordedRun
from promptarena.benchmark.recording.record import Record
from promptarena.benchmark.running.execution import ExecutionConfig, training_folder
from promptarena.benchmark.running.further import Further, far_target
from promptarena.benchmark.running.kept_learners import hand_over
from promptarena.benchmark.running.runner import Runner, TrainedRun
from promptarena.benchmark.training.trained_learner import LEARNED


def add_predictions(record: Record, stored: StoredResult, runner: Runner, execution: ExecutionConfig) -> None:
    """Score the kept learner of a finished run and record what it predicts; its scores stay as they are.

    Args:
        record: The record.
        stored: The run.
        runner: Scores it.
        execution: As the runner's.

    Raises:
        UserError: The record does not have the learner, it cannot be scored, or it no longer has the recorded scores:
            the data, the method or the harness has changed since.
    """
    with _again(record, stored, runner, execution) as (trained, recorded):
        (outcome,) = runner.score([trained])
    if isinstance(outcome, Exception):
        raise UserError(f"{_named(stored)} cannot be scored again: {outcome}") from outcome
    if outcome.scores != recorded.scores:
        raise UserError(
            f"{_named(stored)} has other scores when it is scored again: its images, its method or promptarena have "
            "changed; its predictions are not added"
        )
    record.add_predictions(stored.run_id, outcome.predictions)


def add_further(
    record: Record, stored: StoredResult, runner: Runner, execution: ExecutionConfig, chosen: Further
) -> bool:
    """Record further predictions of the kept learner of a finished run; those that it has already are not made again.

    Args:
        record: The record.
        stored: The run.
        runner: Scores it.
        execution: As the runner's.
        chosen: Which predictions.

    Returns:
        Whether there was something to do.

    Raises:
        UserError: As `add_predictions` does.
    """
    spec = record.recall(stored.run_id).planned.spec
    lacking = chosen.missing(spec, [*stored.predictions], [score.target for score in stored.scores])
    if not lacking:
        return False
    with _again(record, stored, runner, execution) as (trained, _):
        try:
            found = runner.further(trained, lacking)
        except (UserError, SharedStateChangedError):
            raise
        except Exception as error:  # a method's own code
            raise UserError(f"{_named(stored)} cannot be scored again: {error}") from error
    if lacking.far and far_target(spec) not in found:
        raise UserError(f"{_named(stored)}: no other dataset of the suite has images of other classes")
    record.add_predictions(stored.run_id, found)
    return True


def _named(stored: StoredResult) -> str:
    return f"run {stored.run_id} ({stored.label} on {stored.dataset})"


@contextmanager
def _again(
    record: Record, stored: StoredResult, runner: Runner, execution: ExecutionConfig
) -> Iterator[tuple[TrainedRun, RunResult]]:
    """The kept learner of a run as if it were just trained, and what was recorded of it."""
    recalled = record.recall(stored.run_id)
    planned = recalled.planned
    finished = RecordedRun(stored.run_id, planned.key, "finished", False, learned=stored.files.get(LEARNED, ""))
    folder = training_folder(execution.results, planned)
    if folder.exists():
        raise UserError(
            f"{_named(stored)} shares its training with one that is not finished; give promptarena compare first"
        )
    try:
        hand_over(record, finished, planned, folder)
        yield runner.train(planned, lambda _curve: None), recalled.result
    finally:
        shutil.rmtree(folder, ignore_errors=True)
