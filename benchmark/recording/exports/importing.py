"""Recording exported runs: verified first, then many at a time.

An import that was interrupted goes on with the same call: runs that are there stay, the others follow.
"""

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.keys import digest
from promptarena.benchmark.core.runs import RunResult
from promptarena.benchmark.recording import names
from promptarena.benchmark.recording.access import NAME_CHARACTERS, milliseconds
from promptarena.benchmark.recording.bulk import (
    FinishedRun,
    artifact_location,
    begun,
    free_id,
    insert,
    transaction,
)
from promptarena.benchmark.recording.exports.exported_run import ExportedRun
from promptarena.benchmark.recording.exports.folder import Export
from promptarena.benchmark.recording.mlflow_view import datasets_of, measured_on, model_of
from promptarena.benchmark.recording.owner import Owner
from promptarena.benchmark.recording.predictions import check_predictions, target_of
from promptarena.benchmark.recording.readers import local_folder
from promptarena.benchmark.recording.record import ParentRuns, Record, RunTakenError
from promptarena.benchmark.recording.runs import (
    begun_tags,
    first_tags,
    plan_file,
    result_documents,
)
from promptarena.benchmark.recording.schema import (
    TAG_CHARACTERS,
    metrics_of,
    params_of,
    run_name,
    unscored_tags,
)


@dataclass(frozen=True)
class File:
    """A verified file of an export, and its SHA-256."""

    path: Path
    digest: str

    def read(self) -> bytes:
        """Its content. Raises UserError when it cannot be read or changed since it was verified."""
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise UserError(f"cannot read {self.path}: {error.strerror}") from error
        if hashlib.sha256(content).hexdigest() != self.digest:
            raise UserError(f"{self.path} was changed while it was read; export it again")
        return content


Files = Mapping[str, File]
"""The files beside a run by name."""

Runs = Sequence[tuple[ExportedRun, Files]]
"""Verified runs of one suite, each with its files."""


def files_of(exports: Sequence[Export]) -> dict[tuple[str, str], dict[str, File]]:
    """The files beside the runs of exports.

    Args:
        exports: The exports.

    Returns:
        For each run, by its key and its id, the files that any of the exports has for exactly this run.
    """
    found: dict[tuple[str, str], dict[str, File]] = {}
    for export in exports:
        for run in export.runs:
            listed = export.manifest.files.get(run.run_key, {})
            files = {name: File(path, listed[name]) for name, path in export.files(run.run_key).items()}
            found.setdefault((run.run_key, run.run_id), {}).update(files)
    return found


def verify(run: ExportedRun, files: Files) -> None:
    """See that the predictions beside a run are its own.

    Args:
        run: The run.
        files: The files beside it.

    Raises:
        UserError: They are not those that its scores count.
    """
    try:
        check_predictions(_with_predictions(run.result(), files))
    except ValueError as error:
        raise UserError(f"run {run.run_key}: {error}; export it again") from error


def import_runs(record: Record, runs: Runs, parents: Mapping[str, ParentRuns]) -> int:
    """Record runs of one suite that were made elsewhere; those that were begun or recorded meanwhile are left.

    In a database that is a file they are written in one transaction. A killed process leaves folders of artifacts at
    most, which the next import of the same runs writes again.

    Args:
        record: The record.
        runs: The runs; none may be there twice.
        parents: The runs that they hang under, by label.

    Returns:
        How many were recorded.

    Raises:
        UserError: The store fails, or a file is no longer the one that was verified.
    """
    new = _import_many(record, runs, parents) if runs else set()
    others = [(run, files) for run, files in runs if run.run_key not in new]
    return len(new) + sum(_import_one(record, run, files, parents) for run, files in others)


def _import_many(record: Record, runs: Runs, parents: Mapping[str, ParentRuns]) -> set[str]:
    """Record those runs that nobody began, where the record is a file whose schema is known. Returns their keys."""
    store = record.access.store
    if not store.direct or not store.address.file:
        return set()
    with record.access.locked("record imported runs"):
        experiment = record.access.experiment(runs[0][0].suite)
        with transaction(store.address.file) as connection:
            location = artifact_location(connection, experiment)
            folder = local_folder(location)
            if folder is None:
                return set()
            taken = begun(connection, experiment, [run.run_key for run, _ in runs])
            rows = []
            for run, files in runs:
                if run.run_key not in taken:
                    # An id that follows from the run: an import that goes on writes to the folders of the one before.
                    run_id = free_id(connection, (digest(run.run_key, run.run_id, n)[:32] for n in count()))
                    _write_artifacts(folder / run_id / "artifacts", run, files)
                    rows.append(_row(run, files, run_id, f"{location}/{run_id}/artifacts", parents[run.spec.label]))
            insert(connection, experiment, rows)
    return {run.run_key for run, _ in runs} - taken


def _import_one(record: Record, run: ExportedRun, files: Files, parents: Mapping[str, ParentRuns]) -> int:
    """Record a run through MLflow's client. Returns 0 if another process took it, or has recorded it."""
    try:
        run_id = record.begin(run.planned(), parents[run.spec.label], run.backbone, run.miniature, run.imported())
    except RunTakenError:
        return 0
    kept = {name: file.read() for name, file in files.items() if target_of(name) is None}
    record.finish(run_id, _with_predictions(run.result(kept), files), run.finished_at, run.planned())
    return 1


def _with_predictions(result: RunResult, files: Files) -> RunResult:
    predictions = {target: file.read() for name, file in files.items() if (target := target_of(name))}
    return replace(result, predictions=predictions)


def _write_artifacts(folder: Path, run: ExportedRun, files: Files) -> None:
    """Write the artifacts of a run as MLflow's client would."""
    shutil.rmtree(folder, ignore_errors=True)  # of an import that was killed
    documents = plan_file(run.planned()) | result_documents(run.result())
    for name, content in (documents | {name: file.read() for name, file in files.items()}).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _row(run: ExportedRun, files: Files, run_id: str, artifact_uri: str, parents: ParentRuns) -> FinishedRun:
    planned, result, imported, now = run.planned(), run.result(), run.imported(), milliseconds()
    targets = {name: target for name in files if (target := target_of(name))}
    tags = {
        **first_tags(planned, imported),
        **begun_tags(planned, parents, run.backbone, run.miniature, imported),
        **Owner.current().tags(),
        **unscored_tags(result),
        **{names.PREDICTIONS.of(target): files[name].digest for name, target in targets.items()},
        **names.FILES.of({name: file.digest for name, file in sorted(files.items()) if name not in targets}),
    }
    curves = [
        (f"{names.CURVES}{name}", value, now, int(row["epoch"]))
        for row in result.curves
        for name, value in row.items()
        if name != "epoch"
    ]
    return FinishedRun(
        run_id=run_id,
        name=run_name(planned.spec)[:NAME_CHARACTERS],
        started=milliseconds(imported.started_at),
        ended=milliseconds(imported.finished_at),
        artifact_uri=artifact_uri,
        tags={name: text[:TAG_CHARACTERS] for name, text in tags.items()},
        params=params_of(planned),
        points=[*curves, *((name, value, now, 0) for name, value in metrics_of(result).items())],
        datasets=datasets_of(planned),
        model=model_of(planned),
        measured=measured_on(planned, result),
    )
