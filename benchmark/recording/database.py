"""The file of a record: created as a whole, its artifacts found after it was moved, and read where none may write."""

import atexit
import os
import shutil
import sqlite3
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from promptarena.benchmark.recording.address import StoreAddress

LOCK_WAIT_SECONDS = 20.0
UNFINISHED = ".unfinished"
"""Ending of the name under which a new database is made."""
WHOLE = 1
"""sqlite's user_version of a database that was made to its end; versions of promptarena that made it in place set 0."""


def create(database: Path, artifacts: Path) -> None:
    """Make a new MLflow database; it has its name only once it is whole, so a killed process leaves none behind.

    The caller holds a lock, so that one process at a time does this.

    Args:
        database: The file to make.
        artifacts: The folder for artifacts of experiments that name none.
    """
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    database.parent.mkdir(parents=True, exist_ok=True)
    unfinished = database.with_name(f"{database.name}{UNFINISHED}")
    _remove(unfinished)
    try:
        made: Any = SqlAlchemyStore
        with _unsynced(unfinished):
            made(StoreAddress.of_file(unfinished).uri, artifacts.as_uri()).engine.dispose()
        with closing(sqlite3.connect(unfinished)) as connection:
            connection.execute(f"PRAGMA user_version = {WHOLE}")
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(unfinished, database)
    finally:
        _remove(unfinished)


@contextmanager
def _unsynced(database: Path) -> Iterator[None]:
    """Let SQLAlchemy write a new database without waiting for the disk: MLflow would a thousand times, for seconds.

    Nothing is lost by it: a database that is not whole is made again from the start.
    """
    from sqlalchemy import Engine, event

    name = os.path.realpath(database)

    def connected(connection: sqlite3.Connection, _: object) -> None:
        if any(file == name for _, _, file in connection.execute("PRAGMA database_list")):
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("PRAGMA journal_mode = MEMORY")

    event.listen(Engine, "connect", connected)
    try:
        yield
    finally:
        event.remove(Engine, "connect", connected)


def is_unfinished(database: Path) -> bool:
    """Whether a database is missing, or was left without any run by a process that was killed while it made it.

    Args:
        database: The file of a record of this program's own.

    Raises:
        sqlite3.Error: It is damaged.
    """
    if not database.exists() or not database.stat().st_size:
        return True
    with closing(sqlite3.connect(database, timeout=LOCK_WAIT_SECONDS)) as connection:
        if connection.execute("PRAGMA user_version").fetchone() != (0,):
            return False
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        contents = {"runs": "SELECT 1 FROM runs", "experiments": "SELECT 1 FROM experiments WHERE name <> 'Default'"}
        return not any(name in tables and connection.execute(query).fetchone() for name, query in contents.items())


def check(database: Path) -> None:
    """See that a database can be written; SQLAlchemy would try a damaged or read-only file again for minutes.

    Args:
        database: The file.

    Raises:
        sqlite3.Error: It is damaged, locked, or cannot be written.
    """
    with closing(sqlite3.connect(database, timeout=LOCK_WAIT_SECONDS, isolation_level=None)) as connection:
        connection.execute("PRAGMA schema_version").fetchone()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")


def can_write(database: Path) -> bool:
    """Whether this process may change a database: sqlite also writes files beside it.

    Args:
        database: The file, which exists.
    """
    return os.access(database, os.W_OK) and os.access(database.parent, os.W_OK)


def copied(database: Path) -> Path:
    """Copy a database that may only be read to a temporary folder, which is removed when this process ends.

    Args:
        database: The file.

    Returns:
        The copy.

    Raises:
        sqlite3.Error: The file is damaged.
    """
    folder = tempfile.mkdtemp(prefix="promptarena-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    copy = Path(folder) / "mlflow.db"
    quoted = urllib.parse.quote(str(database))
    # Beside a database that may only be read sqlite cannot make its own files; immutable means that it needs none.
    for mode in ("mode=ro", "immutable=1"):
        try:
            with (
                closing(sqlite3.connect(f"file:{quoted}?{mode}", uri=True)) as source,
                closing(sqlite3.connect(copy)) as to,
            ):
                source.backup(to)
            return copy
        except sqlite3.OperationalError:
            if mode == "immutable=1":
                raise
    return copy


def follow(database: Path, artifacts: Path, *, always: bool) -> None:
    """Find the artifacts of a database that was moved or copied together with them, and put new ones there too.

    MLflow keeps the absolute address of every run's artifacts. Where these are in the folder `artifacts` now, or
    nowhere else, the address is changed.

    Args:
        database: The file; the caller holds the lock of its record.
        artifacts: The folder of artifacts beside it, as an absolute path.
        always: Whether new artifacts belong into this folder even if none of the old ones are there.

    Raises:
        sqlite3.Error: The file is damaged or cannot be written.
    """
    here = artifacts.as_uri()
    with closing(sqlite3.connect(database, timeout=LOCK_WAIT_SECONDS)) as connection, connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'runs'").fetchone():
            return
        ours = "SELECT experiment_id FROM experiments WHERE name LIKE 'promptarena/%'"
        rows = connection.execute(f"SELECT run_uuid, artifact_uri FROM runs WHERE experiment_id IN ({ours})").fetchall()
        moved = [
            (f"{here}/{run}/artifacts", run)
            for run, uri in rows
            if _was_elsewhere(uri, run, here) and _is_here(artifacts / run / "artifacts", uri)
        ]
        if moved:
            connection.executemany("UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", moved)
        if always or any((artifacts / run).exists() for _, run in moved):
            connection.execute(
                "UPDATE experiments SET artifact_location = ? WHERE name LIKE 'promptarena/%' AND "
                "artifact_location <> ? AND (artifact_location LIKE 'file:%' OR artifact_location LIKE '/%')",
                (here, here),
            )


def _was_elsewhere(uri: str, run: str, here: str) -> bool:
    return _is_local(uri) and uri.endswith(f"/{run}/artifacts") and uri != f"{here}/{run}/artifacts"


def _is_here(there: Path, uri: str) -> bool:
    """Whether a run's artifacts are in this folder, or not at their old address either."""
    old = Path(urllib.request.url2pathname(urllib.parse.urlsplit(uri).path))
    if there.exists() and old.exists() and there.samefile(old):
        return False  # another name of one folder
    return there.exists() or not old.exists()


def _is_local(uri: str) -> bool:
    return uri.startswith(("file:", "/"))


def _remove(database: Path) -> None:
    for ending in ("", "-journal", "-wal", "-shm"):
        database.with_name(database.name + ending).unlink(missing_ok=True)
