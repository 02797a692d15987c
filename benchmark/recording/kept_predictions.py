"""The predictions of recorded and of exported runs, by run and target."""

from collections.abc import Callable, Iterable, Sequence

from promptarena.benchmark.core.predictions import Predictions, from_parquet
from promptarena.benchmark.core.runs import StoredResult, Target
from promptarena.benchmark.recording.exports.folder import Export
from promptarena.benchmark.recording.exports.importing import files_of
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
        content = record.content(run_id, file_name(target))
        return read_predictions(content, digest, f"{file_name(target)} of run {run_id}")

    return kept


def of_exports(exports: Iterable[Export]) -> KeptPredictions:
    """The predictions that lie beside exported runs.

    Args:
        exports: The exports, verified.
    """
    files = {run_id: found for (_, run_id), found in files_of(list(exports)).items()}

    def kept(run_id: str, target: Target) -> Sequence[Predictions]:
        file = files[run_id].get(file_name(target))
        return () if file is None else from_parquet(file.read(), str(file.path))

    return kept
