"""Two ways of reading an MLflow store that give the same values: through MLflow's client, and straight from a file.

The import of MLflow takes seconds, so a database in a file is read without it. Only what this program needs is read.
"""

import math
import os
import shutil
import sqlite3
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from promptarena.benchmark.recording.names import Tag

if TYPE_CHECKING:
    from mlflow import MlflowClient

REVISIONS = frozenset({"dc11669786a5"})
"""The schemas of MLflow's database that `FileReader` knows. A file of another one is read through MLflow's client."""

BUSY_SECONDS = 20.0
PAGE_RUNS = 1000
"""MLflow's limit on the runs of one request."""


@dataclass(frozen=True)
class Info:
    """What an MLflow run is, under MLflow's own names; times in milliseconds since the epoch."""

    run_id: str
    experiment_id: str
    run_name: str
    status: str
    start_time: int
    end_time: int | None
    artifact_uri: str


@dataclass(frozen=True)
class Values:
    """What is stored with an MLflow run, by name; of a metric, its last value."""

    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Run:
    """An MLflow run, as far as it is read here."""

    info: Info
    data: Values


@dataclass(frozen=True)
class Experiment:
    """An MLflow experiment."""

    experiment_id: str
    name: str
    active: bool
    tags: Mapping[str, str]


class Reader(Protocol):
    """Reads an MLflow store as it is now."""

    def experiment(self, name: str) -> Experiment | None:
        """The experiment with this name, also a deleted one; None where there is none."""

    def experiments(self, prefix: str) -> list[Experiment]:
        """The experiments, except deleted ones, whose names begin so."""

    def search(self, experiment: str, *tags: tuple[Tag[str], str], status: str = "") -> list[Run]:
        """The runs, except deleted ones, of an experiment that have all these tags, those that began first first.

        Args:
            experiment: The experiment's id.
            tags: Tags with their texts.
            status: Only runs with this status of MLflow's; empty: all.
        """

    def run(self, run_id: str) -> Run:
        """A run by its id. Raises an error of the store's when there is none."""

    def history(self, run_id: str, prefix: str) -> list[tuple[str, int, float]]:
        """Name, step and value of all points of the metrics whose names begin so, by name and then by time."""

    def artifacts(self, uri: str) -> frozenset[str]:
        """The names of the files and folders directly in a run's folder of artifacts."""

    def fetch(self, uri: str, name: str, folder: Path) -> Path:
        """Copy an artifact from a run's folder of artifacts to a folder on this machine; returns the copy's path."""

    def content(self, uri: str, name: str) -> bytes:
        """The content of an artifact in a run's folder of artifacts."""


class ClientReader:
    """Reads any store through MLflow's client.

    Args:
        client: The client.
        uri: The store's address, as MLflow takes it.
    """

    def __init__(self, client: "MlflowClient", uri: str) -> None:
        self._client = client
        self._uri = uri

    def experiment(self, name: str) -> Experiment | None:
        """See `Reader`."""
        found = self._client.get_experiment_by_name(name)
        return None if found is None else _experiment(found)

    def experiments(self, prefix: str) -> list[Experiment]:
        """See `Reader`."""
        return [_experiment(found) for found in self._client.search_experiments(filter_string=f"name LIKE '{prefix}%'")]

    def search(self, experiment: str, *tags: tuple[Tag[str], str], status: str = "") -> list[Run]:
        """See `Reader`."""
        conditions = [f"tags.`{tag.name}` = '{text}'" for tag, text in tags]
        conditions += [f"attributes.status = '{status}'"] if status else []
        runs: list[Run] = []
        token: str | None = None
        while True:
            page = self._client.search_runs(
                [experiment],
                " AND ".join(conditions),
                max_results=PAGE_RUNS,
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )
            runs.extend(map(_run, page))
            token = page.token
            if not token:
                return runs

    def run(self, run_id: str) -> Run:
        """See `Reader`."""
        return _run(self._client.get_run(run_id))

    def history(self, run_id: str, prefix: str) -> list[tuple[str, int, float]]:
        """See `Reader`."""
        return [
            (name, point.step, point.value)
            for name in sorted(self._client.get_run(run_id).data.metrics)
            if name.startswith(prefix)
            for point in self._client.get_metric_history(run_id, name)
        ]

    def artifacts(self, uri: str) -> frozenset[str]:
        """See `Reader`."""
        return frozenset(file.path for file in self._folder(uri).list_artifacts())

    def fetch(self, uri: str, name: str, folder: Path) -> Path:
        """See `Reader`."""
        return Path(self._folder(uri).download_artifacts(name, str(folder)))

    def content(self, uri: str, name: str) -> bytes:
        """See `Reader`."""
        with tempfile.TemporaryDirectory() as folder:
            return self.fetch(uri, name, Path(folder)).read_bytes()

    def _folder(self, uri: str) -> Any:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        return get_artifact_repository(uri, self._uri)


class FileReader:
    """Reads an MLflow database in a sqlite file, without MLflow.

    Args:
        file: The database, whose schema is one of REVISIONS.
        otherwise: Makes the reader of artifacts that are not in a folder on this machine.
    """

    def __init__(self, file: Path, otherwise: Callable[[], Reader]) -> None:
        self._file = file
        self._otherwise = otherwise

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees the database as it is at the first question, whatever is written meanwhile."""
        with closing(sqlite3.connect(self._file, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
            connection.execute("BEGIN")
            yield connection

    def experiment(self, name: str) -> Experiment | None:
        """See `Reader`."""
        with self._reading() as connection:
            return next(iter(_experiments(connection, "name = ?", name)), None)

    def experiments(self, prefix: str) -> list[Experiment]:
        """See `Reader`."""
        with self._reading() as connection:
            found = _experiments(connection, "substr(name, 1, ?) = ?", len(prefix), prefix)
        return [experiment for experiment in found if experiment.active]

    def search(self, experiment: str, *tags: tuple[Tag[str], str], status: str = "") -> list[Run]:
        """See `Reader`."""
        where, values = "lifecycle_stage = 'active' AND experiment_id = ?", [int(experiment)]
        more: list[object] = []
        for tag, text in tags:
            where += " AND run_uuid IN (SELECT run_uuid FROM tags WHERE key = ? AND value = ?)"
            more += [tag.name, text]
        if status:
            where += " AND status = ?"
            more.append(status)
        with self._reading() as connection:
            return _runs(connection, where, *values, *more)

    def run(self, run_id: str) -> Run:
        """See `Reader`."""
        with self._reading() as connection:
            found = _runs(connection, "run_uuid = ?", run_id)
        if not found:
            raise FileNotFoundError(f"Run with id={run_id} not found")
        return found[0]

    def history(self, run_id: str, prefix: str) -> list[tuple[str, int, float]]:
        """See `Reader`."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT key, step, value, is_nan FROM metrics WHERE run_uuid = ? AND substr(key, 1, ?) = ? "
                "ORDER BY key, timestamp, step, value",
                (run_id, len(prefix), prefix),
            )
            return [(key, step, math.nan if is_nan else value) for key, step, value, is_nan in rows]

    def artifacts(self, uri: str) -> frozenset[str]:
        """See `Reader`."""
        folder = local_folder(uri)
        if folder is None:
            return self._otherwise().artifacts(uri)
        return frozenset(os.listdir(folder)) if folder.is_dir() else frozenset()

    def fetch(self, uri: str, name: str, folder: Path) -> Path:
        """See `Reader`."""
        there = local_folder(uri)
        if there is None:
            return self._otherwise().fetch(uri, name, folder)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copyfile(there / name, folder / name))

    def content(self, uri: str, name: str) -> bytes:
        """See `Reader`."""
        there = local_folder(uri)
        return self._otherwise().content(uri, name) if there is None else (there / name).read_bytes()


def can_read(file: Path) -> bool:
    """Whether `FileReader` knows the schema of a database.

    Args:
        file: The database.

    Raises:
        sqlite3.Error: The file is damaged, or locked for long.
    """
    with closing(sqlite3.connect(file, timeout=BUSY_SECONDS)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
            return False
        return {revision for (revision,) in connection.execute("SELECT version_num FROM alembic_version")} <= REVISIONS


def _experiment(found: Any) -> Experiment:
    return Experiment(str(found.experiment_id), found.name, found.lifecycle_stage == "active", dict(found.tags))


def _run(found: Any) -> Run:
    info, data = found.info, found.data
    return Run(
        Info(
            run_id=info.run_id,
            experiment_id=str(info.experiment_id),
            run_name=info.run_name or "",
            status=info.status,
            start_time=info.start_time,
            end_time=info.end_time,
            artifact_uri=info.artifact_uri,
        ),
        Values(dict(data.tags), dict(data.params), dict(data.metrics)),
    )


def _experiments(connection: sqlite3.Connection, where: str, *values: object) -> list[Experiment]:
    rows = connection.execute(
        f"SELECT experiment_id, name, lifecycle_stage FROM experiments WHERE {where} ORDER BY experiment_id", values
    ).fetchall()
    return [
        Experiment(
            str(number),
            name,
            stage == "active",
            dict(connection.execute("SELECT key, value FROM experiment_tags WHERE experiment_id = ?", (number,))),
        )
        for number, name, stage in rows
    ]


def _runs(connection: sqlite3.Connection, where: str, *values: object) -> list[Run]:
    """The runs that meet a condition in SQL, with all that is stored with them."""
    rows = connection.execute(
        "SELECT run_uuid, experiment_id, name, status, start_time, end_time, artifact_uri FROM runs "
        f"WHERE {where} ORDER BY start_time IS NULL, start_time, run_uuid",
        values,
    ).fetchall()
    tags, params, metrics = (dict[str, dict[str, Any]]((row[0], {}) for row in rows) for _ in range(3))
    chosen = f"run_uuid IN (SELECT run_uuid FROM runs WHERE {where})"
    for table, into in (("tags", tags), ("params", params)):
        for run_id, key, value in connection.execute(
            f"SELECT run_uuid, key, value FROM {table} WHERE {chosen}", values
        ):
            into[run_id][key] = value
    query = f"SELECT run_uuid, key, value, is_nan FROM latest_metrics WHERE {chosen}"
    for run_id, key, value, is_nan in connection.execute(query, values):
        metrics[run_id][key] = math.nan if is_nan else value
    return [
        Run(
            Info(run_id, str(experiment), name or "", status, started, ended, artifacts),
            Values(tags[run_id], params[run_id], metrics[run_id]),
        )
        for run_id, experiment, name, status, started, ended, artifacts in rows
    ]


def local_folder(uri: str) -> Path | None:
    """The folder on this machine that an address of artifacts names; None if it names none."""
    if uri.startswith("/"):
        return Path(uri)
    parts = urllib.parse.urlsplit(uri)
    return Path(urllib.request.url2pathname(parts.path)) if parts.scheme == "file" and not parts.netloc else None
