"""A run whose learner another run keeps."""

from pathlib import Path

from in_process import compared

from promptarena.benchmark.core.runs import PlannedRun
from promptarena.benchmark.planning.request import Request
from promptarena.benchmark.recording.record import Record, RecordPlace
from promptarena.benchmark.running.comparison import plan_comparison
from promptarena.benchmark.running.execution import ExecutionConfig, training_folder
from promptarena.benchmark.running.kept_learners import hand_over


def handed_over(place: ExecutionConfig) -> tuple[PlannedRun, str]:
    """A run of open-world whose learner lies in the folder of its training, and the id of the run that trained it."""
    compared(Path(place.suite), place.results, "base-to-novel", methods=("coop",))
    record = Record.open(RecordPlace(place.results))
    comparison = plan_comparison(Request(methods=("coop",), protocols=("open-world",)), place, record)
    (run,) = comparison.only_scored()
    finished = comparison.kept[run.train_key]
    hand_over(record, finished, run, training_folder(place.results, run))
    return run, finished.run_id
