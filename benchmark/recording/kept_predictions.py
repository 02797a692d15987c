"""The predictions of recorded and of exported runs, by run and target."""

import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from promptarena.benchmark.core.keys import file_digest
from promptarena.benchmark.core.predictions import Predictions
from promptarena.benchmark.core.runs import StoredResult, Target
from promptarena.benchmark.recording.exports.folder import Export
from promptarena.benchmark.recording.predictions import file_name, read_predictions
from promptarena.benchmark.recording.record import Record

KeptPredictions = Callable[[str, Target], Sequence[Predictions]]
"""From a run's id and a target to the predictions of each reading; empty where none are kept. Raises UserError where
they are damaged."""


def of_record(record: Record, results: Iterable[StoredResult]) -> KeptPredictions:
    """The predictions of recorded runs.

    Args:
        record: The record.
        results: The runs, as the record lists them.
    """
    digests = {result.run_id: result.predictions for result in results}

    def kept(run_id: str, target: Target) -> Sequence[Predictions]:
        digest = digests.get(run_id, {}).get(target)
        if digest is None:
            return ()
        with tempfile.TemporaryDirectory() as folder:
            path = record.artifact(run_id, file_name(target), Path(folder))
            return read_predictions(path, digest, f"{file_name(target)} of run {run_id}")

    return kept


def of_exports(exports: Iterable[Export]) -> KeptPredictions:
    """The predictions that lie beside exported runs.

    Args:
        exports: The exports, verified.
    """
    folders = {run.run_id: (export, run.run_key) for export in exports for run in export.runs}

    def kept(run_id: str, target: Target) -> Sequence[Predictions]:
        export, run_key = folders[run_id]
        path = export.files(run_key).get(file_name(target))
        return () if path is None else read_predictions(path, file_digest(path), str(path))

    return kept
