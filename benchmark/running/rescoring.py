"""Finished runs that keep no predictions: their learners are scored again, and the predictions join the record."""

import shutil

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.runs import StoredResult
from promptarena.benchmark.recording.index import RecordedRun
from promptarena.benchmark.recording.record import Record
from promptarena.benchmark.running.execution import ExecutionConfig, training_folder
from promptarena.benchmark.running.kept_learners import hand_over
from promptarena.benchmark.running.runner import Runner
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
    recalled = record.recall(stored.run_id)
    planned = recalled.planned
    run = f"run {stored.run_id} ({stored.label} on {stored.dataset})"
    finished = RecordedRun(stored.run_id, planned.key, "finished", False, learned=stored.files.get(LEARNED, ""))
    folder = training_folder(execution.results, planned)
    if folder.exists():
        raise UserError(f"{run} shares its training with one that is not finished; give promptarena compare first")
    try:
        hand_over(record, finished, planned, folder)
        (outcome,) = runner.score([runner.train(planned, lambda _curve: None)])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if isinstance(outcome, Exception):
        raise UserError(f"{run} cannot be scored again: {outcome}") from outcome
    if outcome.scores != recalled.result.scores:
        raise UserError(
            f"{run} has other scores when it is scored again: its images, its method or promptarena have changed; its "
            "predictions are not added"
        )
    record.add_predictions(stored.run_id, outcome.predictions)
