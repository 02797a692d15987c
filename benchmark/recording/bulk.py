"""Writes finished runs into the file of an MLflow database, many in one transaction.

MLflow's client needs about ten transactions a run. The rows are those that it would write, for the schemas that
`FileReader` knows. A transaction writes a run wholly or not at all.
"""

import math
import sqlite3
import sys
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from promptarena.benchmark.recording import names
from promptarena.benchmark.recording.mlflow_view import MODEL_TYPE, DatasetRow, ModelRow
from promptarena.benchmark.recording.readers import BUSY_SECONDS

RUN_NAME = "mlflow.runName"
NOBODY = "unknown"
"""The user of a run whose tags name none, as in MLflow."""

Point = tuple[str, float, int, int]
"""A metric's name, value, time in milliseconds and step."""


@dataclass(frozen=True)
class FinishedRun:
    """A finished run as the database has it; times in milliseconds since the epoch."""

    run_id: str
    name: str
    started: int
    ended: int
    artifact_uri: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    points: Sequence[Point]
    datasets: Sequence[DatasetRow]
    model: ModelRow
    measured: Mapping[str, DatasetRow]
    """The datasets that metrics of the model were measured on, by the metric's name."""


@contextmanager
def transaction(file: Path) -> Iterator[sqlite3.Connection]:
    """A connection whose changes are written together when the context ends without an error, else none of them.

    Args:
        file: The database, whose schema is one of `readers.REVISIONS`.

    Raises:
        sqlite3.Error: The file is damaged, cannot be written, or is locked for long.
    """
    with closing(sqlite3.connect(file, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            yield connection


def artifact_location(connection: sqlite3.Connection, experiment: str) -> str:
    """The address below which the runs of an experiment keep their artifacts."""
    query = "SELECT artifact_location FROM experiments WHERE experiment_id = ?"
    location: str = connection.execute(query, (int(experiment),)).fetchone()[0]
    return location


def begun(connection: sqlite3.Connection, experiment: str, keys: Collection[str]) -> set[str]:
    """Those of these keys that have a run in the experiment, finished or not; deleted runs do not count."""
    query = (
        "SELECT value FROM tags JOIN runs USING (run_uuid) "
        "WHERE key = ? AND lifecycle_stage = 'active' AND experiment_id = ?"
    )
    found = {key for (key,) in connection.execute(query, (names.RUN_KEY.name, int(experiment)))}
    return found & set(keys)


def free_id(connection: sqlite3.Connection, run_ids: Iterator[str]) -> str:
    """The first of these ids of which the database has no run, not even a deleted one."""
    query = "SELECT 1 FROM runs WHERE run_uuid = ?"
    return next(run_id for run_id in run_ids if not connection.execute(query, (run_id,)).fetchone())


def insert(connection: sqlite3.Connection, experiment: str, runs: Sequence[FinishedRun]) -> None:
    """Add finished runs.

    Args:
        connection: From `transaction`.
        experiment: The id of their experiment.
        runs: The runs; their ids are new.

    Raises:
        sqlite3.Error: They cannot be written.
    """
    connection.executemany(
        "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, "
        "end_time, source_version, lifecycle_stage, artifact_uri, experiment_id) "
        "VALUES (?, ?, 'UNKNOWN', '', '', ?, 'FINISHED', ?, ?, '', 'active', ?, ?)",
        [(run.run_id, run.name, NOBODY, run.started, run.ended, run.artifact_uri, int(experiment)) for run in runs],
    )
    for table, values in (
        ("tags", [(run.run_id, {RUN_NAME: run.name, **run.tags}) for run in runs]),
        ("params", [(run.run_id, run.params) for run in runs]),
    ):
        connection.executemany(
            f"INSERT INTO {table} (run_uuid, key, value) VALUES (?, ?, ?)",
            [(run_id, key, value) for run_id, texts in values for key, value in texts.items()],
        )
    points = {run.run_id: [(key, step, time, *_stored(value)) for key, value, time, step in run.points] for run in runs}
    last = {run_id: {row[0]: row for row in sorted(rows, key=lambda row: row[:4])} for run_id, rows in points.items()}
    for table, every in (
        ("metrics", points.items()),
        ("latest_metrics", ((run_id, rows.values()) for run_id, rows in last.items())),
    ):
        connection.executemany(
            f"INSERT INTO {table} (run_uuid, key, step, timestamp, value, is_nan) VALUES (?, ?, ?, ?, ?, ?)",
            [(run_id, *row) for run_id, rows in every for row in rows],
        )
    _insert_inputs(connection, experiment, runs)
    _insert_models(connection, experiment, runs)


def _insert_inputs(connection: sqlite3.Connection, experiment: str, runs: Sequence[FinishedRun]) -> None:
    query = "SELECT name, digest, dataset_uuid FROM datasets WHERE experiment_id = ?"
    known = {(name, digest): found for name, digest, found in connection.execute(query, (int(experiment),))}
    used = {(each.name, each.digest): each for run in runs for each in run.datasets}
    new = {key: uuid.uuid4().hex for key in used if key not in known}
    connection.executemany(
        "INSERT INTO datasets (dataset_uuid, experiment_id, name, digest, dataset_source_type, dataset_source) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        [(made, int(experiment), *key, used[key].source_type, used[key].source) for key, made in new.items()],
    )
    known |= new
    edges = [(uuid.uuid4().hex, run.run_id, each) for run in runs for each in run.datasets]
    connection.executemany(
        "INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id) "
        "VALUES (?, 'DATASET', ?, 'RUN', ?)",
        [(edge, known[each.name, each.digest], run_id) for edge, run_id, each in edges],
    )
    connection.executemany(
        "INSERT INTO input_tags (input_uuid, name, value) VALUES (?, 'mlflow.data.context', ?)",
        [(edge, each.context) for edge, _, each in edges],
    )


def _insert_models(connection: sqlite3.Connection, experiment: str, runs: Sequence[FinishedRun]) -> None:
    """Add the learner of each run as a logged model that is ready."""
    location, number = artifact_location(connection, experiment), int(experiment)
    models = [(f"m-{uuid.uuid4().hex}", run) for run in runs]
    connection.executemany(
        "INSERT INTO logged_models (model_id, experiment_id, name, artifact_location, creation_timestamp_ms, "
        "last_updated_timestamp_ms, status, lifecycle_stage, model_type, source_run_id) "
        "VALUES (?, ?, ?, ?, ?, ?, 2, 'active', ?, ?)",
        [
            (
                made,
                number,
                run.model.name,
                f"{location}/models/{made}/artifacts",
                run.ended,
                run.ended,
                MODEL_TYPE,
                run.run_id,
            )
            for made, run in models
        ],
    )
    for kind, values in (
        ("param", [(made, run.model.params) for made, run in models]),
        ("tag", [(made, run.model.tags) for made, run in models]),
    ):
        connection.executemany(
            f"INSERT INTO logged_model_{kind}s (model_id, experiment_id, {kind}_key, {kind}_value) VALUES (?, ?, ?, ?)",
            [(made, number, key, value) for made, texts in values for key, value in texts.items()],
        )
    connection.executemany(
        "INSERT INTO logged_model_metrics (model_id, metric_name, metric_timestamp_ms, metric_step, metric_value, "
        "experiment_id, run_id, dataset_name, dataset_digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                made,
                key,
                time,
                step,
                _stored(value)[0],
                number,
                run.run_id,
                run.measured[key].name,
                run.measured[key].digest,
            )
            for made, run in models
            for key, value, time, step in run.points
            if key in run.measured
        ],
    )
    connection.executemany(
        "INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id, step) "
        "VALUES (?, 'RUN_OUTPUT', ?, 'MODEL_OUTPUT', ?, 0)",
        [(uuid.uuid4().hex, run.run_id, made) for made, run in models],
    )


def _stored(value: float) -> tuple[float, bool]:
    """A metric's value as MLflow stores it, and whether it is NaN: SQL has neither NaN nor infinities."""
    if math.isnan(value):
        return 0.0, True
    most = sys.float_info.max
    return min(max(float(value), -most), most), False
