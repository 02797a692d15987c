"""Reaching the MLflow store: where it is, who may write, and errors in one line."""

import logging
import os
import re
import sqlite3
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import BaseFileLock, FileLock

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.recording.place import RecordPlace

if TYPE_CHECKING:
    from mlflow import MlflowClient

LOCK_SECONDS = 300.0
REACH_SECONDS = 10.0

_HINTS = (
    ("not a database", "the file is damaged; restore a copy, or move it away to start a new record"),
    ("malformed", "the file is damaged; restore a copy, or move it away to start a new record"),
    ("out-of-date database schema", "another MLflow version wrote it; back it up, then run 'mlflow db upgrade' on it"),
    ("Can't locate revision", "a newer MLflow wrote it; upgrade mlflow"),
    ("full", "free some space"),
    ("No space left", "free some space"),
    ("readonly", "make it writable, or choose another results folder"),
    ("Read-only", "make it writable, or choose another results folder"),
    ("denied", "make it writable, or choose another results folder"),
    ("lock", "another process holds it; wait for that one, or stop it"),
)


@dataclass(frozen=True)
class Store:
    """An MLflow store within reach. `artifacts` is where new experiments keep files; None leaves that to a server."""

    client: "MlflowClient"
    uri: str
    lock: BaseFileLock
    artifacts: str | None


def open_store(place: RecordPlace) -> Store:
    """Connect to the store of a record; a new one is created if it is missing.

    Args:
        place: Where the record is.

    Returns:
        The store.

    Raises:
        UserError: It cannot be reached, read or written.
    """
    results = place.results
    uri = place.elsewhere or f"sqlite:///{place.database}"
    scheme = urllib.parse.urlsplit(uri).scheme
    if uri != "databricks" and (len(scheme) < 2 or scheme == "file"):
        raise UserError(
            f"MLflow keeps no runs in plain files ({redact(uri)}); use a database (sqlite:///{results}/mlflow.db) "
            "or a tracking server's http address"
        )
    with explained(f"use the results folder {results}"):
        results.mkdir(parents=True, exist_ok=True)
        lock = FileLock(results / "record.lock", timeout=LOCK_SECONDS)
    with explained(f"open the record at {redact(uri)}"):
        if scheme in ("http", "https"):
            _reach(uri)
        _silence()
        from mlflow import MlflowClient

        with lock:
            if scheme == "sqlite":
                _check_sqlite(uri.removeprefix("sqlite:///"))
            client = MlflowClient(tracking_uri=uri)
            client.search_experiments(max_results=1)
    remote = scheme in ("http", "https") or uri.startswith("databricks")
    return Store(client, uri, lock, None if remote else (results / "artifacts").absolute().as_uri())


@contextmanager
def explained(action: str) -> Iterator[None]:
    """Turn what the store or the file system raises inside into a one-line UserError: "cannot `action`: ..."."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise _one_line(action, error) from error
    except Exception as error:
        if type(error).__module__.split(".")[0] not in ("mlflow", "sqlalchemy", "alembic"):
            raise
        raise _one_line(action, error) from error


def redact(uri: str) -> str:
    """The address without user name and password."""
    return re.sub(r"//[^@/]*@", "//", uri)


def _one_line(action: str, error: Exception) -> UserError:
    text = str(error) or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.strerror} ({error.filename})" if error.filename else error.strerror
    line = redact(text.strip().splitlines()[0])
    hint = next((advice for sign, advice in _HINTS if sign in line), None)
    return UserError(f"cannot {action}: {line}" + (f"; {hint}" if hint else ""))


def _silence() -> None:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow  # noqa: F401  (its import configures logging, so levels are set after it)

    logging.getLogger("alembic").setLevel(logging.WARNING)
    # MLflow logs a database's errors with their traceback and raises them as well; `explained` shows what is raised.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


def _reach(uri: str) -> None:
    try:
        with urllib.request.urlopen(f"{redact(uri).rstrip('/')}/health", timeout=REACH_SECONDS):
            return
    except urllib.error.HTTPError:
        return
    except OSError as error:
        raise UserError(
            f"no tracking server answers at {redact(uri)} ({getattr(error, 'reason', error)}); start it, "
            "or unset MLFLOW_TRACKING_URI to keep the record in the results folder"
        ) from error


def _check_sqlite(database: str) -> None:
    """Fail at once where SQLAlchemy would retry a damaged or read-only file for minutes."""
    path = Path(database.split("?")[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=20.0, isolation_level=None)) as connection:
        connection.execute("PRAGMA schema_version").fetchone()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
