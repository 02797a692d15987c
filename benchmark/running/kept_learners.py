"""Finished trainings that are not repeated: the learner that another run of the same training keeps is scored again.

The record has the learner of every finished run. It is copied into the folder of the training, where a worker finds it.
"""

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.files import write_atomically
from promptarena.benchmark.core.keys import file_digest
from promptarena.benchmark.core.runs import PlannedRun
from promptarena.benchmark.recording.index import RecordedRun
from promptarena.benchmark.recording.names import LEARNED_FILE
from promptarena.benchmark.recording.record import Record
from promptarena.benchmark.running.execution import CHECKPOINT, training_folder

if TYPE_CHECKING:
    from promptarena.benchmark.training.trained_learner import Learned

LEARNER_FILE = "kept.safetensors"
TRAINING_FILE = "kept.json"
"""The files of a kept learner in the folder of its training: its tensors, and what is known of the training."""


@dataclass(frozen=True)
class KeptTraining:
    """A finished training.

    Args:
        run_id: The recorded run that it was for.
        sha256: The digest of the learner's file.
        curves: As in `RunResult`.
        train_seconds: Seconds of the training.
        peak_memory_mib: Peak memory of the training, in MiB.
    """

    run_id: str
    sha256: str
    curves: tuple[Mapping[str, float], ...]
    train_seconds: float
    peak_memory_mib: float


def finished_trainings(recorded: Iterable[RecordedRun]) -> dict[str, RecordedRun]:
    """For each training the finished run whose learner is scored again.

    Args:
        recorded: The runs of the record.

    Returns:
        By the key of the training one of its finished runs, if possible one whose learner's digest is recorded.
    """
    found: dict[str, RecordedRun] = {}
    for run in recorded:
        if run.status == "finished" and run.train_key:
            known = found.get(run.train_key)
            found[run.train_key] = known if known and known.learned else run
    return found


def kept_learners(
    runs: Sequence[PlannedRun], recorded: Mapping[str, RecordedRun], record: Record, results: Path
) -> tuple[dict[str, RecordedRun], int]:
    """Find the runs that need no training.

    Args:
        runs: The runs of a comparison.
        recorded: What the record has, by the runs' keys.
        record: The record.
        results: The folder of unfinished trainings.

    Returns:
        By the key of the training the finished run whose learner is scored again, and the number of finished trainings
        whose learner the record lacks.

    Raises:
        UserError: The record cannot be read.
    """
    finished = finished_trainings(recorded.values())
    needed = {
        run.train_key: training_folder(results, run)
        for run in runs
        if run.train_key in finished and not (run.key in recorded and recorded[run.key].status == "finished")
    }
    kept, lacking = {}, 0
    for train_key, folder in needed.items():
        run = finished[train_key]
        if (folder / CHECKPOINT).exists():
            continue  # the training goes on from there, or is finished
        if run.learned or LEARNED_FILE in record.artifacts(run.run_id):
            kept[train_key] = run
        else:
            lacking += 1
    return kept, lacking


def hand_over(record: Record, finished: RecordedRun, planned: PlannedRun, folder: Path) -> None:
    """Copy the learner of a finished run to where a worker looks for it.

    Args:
        record: The record.
        finished: The run that keeps the learner.
        planned: A run of the same training.
        folder: The folder of the training.

    Raises:
        UserError: The record does not have the learner, it is damaged, or it is of another training.
    """
    from promptarena.benchmark.training.trained_learner import Learned

    with tempfile.TemporaryDirectory() as name:
        path = record.artifact(finished.run_id, LEARNED_FILE, Path(name))
        digest = file_digest(path)
        if finished.learned and digest != finished.learned:
            raise UserError(f"{LEARNED_FILE} of run {finished.run_id} is damaged: it does not have its digest")
        _require_same(Learned.load(path), finished, planned)
        result = record.recall(finished.run_id).result
        kept = KeptTraining(
            finished.run_id, digest, result.curves, result.cost.train_seconds, result.cost.peak_memory_mib
        )
        write_atomically(folder / LEARNER_FILE, path)
    write_atomically(folder / TRAINING_FILE, json.dumps(asdict(kept)))


def _require_same(learned: "Learned", finished: RecordedRun, planned: PlannedRun) -> None:
    """Raise UserError unless a learner was trained as planned."""
    origin, provenance = learned.origin, planned.provenance
    found = (origin.method, dict(origin.config), origin.source, origin.backbone, origin.precision)
    expected: tuple[Any, ...] = (
        planned.spec.method,
        dict(planned.config),
        provenance["method_source"],
        provenance["backbone"],
        provenance["precision"],
    )
    if found != expected:
        raise UserError(f"{LEARNED_FILE} of run {finished.run_id} is of another training")


def kept_training(folder: Path) -> KeptTraining | None:
    """The kept learner in the folder of a training.

    Args:
        folder: The folder.

    Returns:
        What is known of the training; None when no learner was handed over, or not completely.
    """
    try:
        kept = KeptTraining(**json.loads((folder / TRAINING_FILE).read_bytes()))
        whole = file_digest(folder / LEARNER_FILE) == kept.sha256
    except (OSError, ValueError, TypeError, UserError):
        return None
    return kept if whole else None
