"""Reaching the MLflow store: where it is, who may write, and errors in one line."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from filelock import BaseFileLock, FileLock

from promptarena.benchmark.core.errors import UserError, first_line
from promptarena.benchmark.recording import database
from promptarena.benchmark.recording.address import StoreAddress
from promptarena.benchmark.recording.faults import explained
from promptarena.benchmark.recording.place import RecordPlace
from promptarena.benchmark.recording.readers import ClientReader, FileReader, Reader, can_read
from promptarena.benchmark.recording.servers.asking import ANSWER_SECONDS, ask_server
from promptarena.benchmark.recording.servers.clock import StoreClock, clock_of
from promptarena.benchmark.recording.servers.lock import ServerLock

if TYPE_CHECKING:
    from mlflow import MlflowClient

LOCK_SECONDS = 300.0
PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}


@dataclass(frozen=True)
class Store:
    """An MLflow store within reach.

    Attributes:
        address: Its address, for MLflow.
        shown: Its address without secrets, for people; that of the original if the store is a copy.
        lock: Held by whoever writes, on this file system.
        artifacts: The URI of the folder in which new experiments keep files; None: a server chooses it.
        direct: Whether its file is read without MLflow, whose import takes seconds.
    """

    address: StoreAddress
    shown: str
    lock: BaseFileLock
    artifacts: str | None
    direct: bool = False

    @cached_property
    def client(self) -> "MlflowClient":
        """MLflow's client for it, made at first use."""
        return _client(self.address)

    @cached_property
    def reader(self) -> Reader:
        """Reads it."""
        if self.direct and self.address.file:
            return FileReader(self.address.file, lambda: self._client_reader)
        return self._client_reader

    @cached_property
    def _client_reader(self) -> Reader:
        return ClientReader(self.client, self.address.uri)

    @cached_property
    def server_lock(self) -> AbstractContextManager[object]:
        """Held by whoever writes, on any machine; nothing where the store is a file, or of a kind of its own."""
        if self.address.file or not (self.address.is_server or self.address.is_database):
            return nullcontext()
        return ServerLock(lambda: self._registry, self.now, LOCK_SECONDS)

    @cached_property
    def _registry(self) -> "MlflowClient":
        """MLflow's client whose registered models are kept there too, whatever MLFLOW_REGISTRY_URI says."""
        _quiet()
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self.address.uri, registry_uri=self.address.uri)

    @cached_property
    def _clock(self) -> StoreClock:
        return clock_of(self.address)

    def now(self) -> float:
        """The store's time, in seconds since the epoch, by which signs of life are judged.

        Raises:
            OSError: The store does not answer. A database's errors are those of SQLAlchemy.
        """
        return self._clock.now()

    @contextmanager
    def explained(self, action: str) -> Iterator[None]:
        """`explained` for this store: secrets of its address are left out.

        Args:
            action: What is done, for the line "cannot `action`: ...".

        Raises:
            UserError: The store fails inside the context.
        """
        with explained(action, self.address):
            yield


def open_store(place: RecordPlace, *, read_only: bool = False) -> Store:
    """Connect to the store of a record; a new one is created if it is missing.

    Args:
        place: Where the record is.
        read_only: Whether nothing will be written, so that a record that may only be read is no error.

    Returns:
        The store.

    Raises:
        UserError: It cannot be reached, read or written.
    """
    if place.elsewhere:
        StoreAddress(place.elsewhere).check()
    address = StoreAddress(place.elsewhere) if place.elsewhere else StoreAddress.of_file(place.database)
    shown = address.shown if place.elsewhere else f"sqlite:///{place.database}"
    if address.file:
        return _open_file(place, address, shown, read_only=read_only)
    with explained(f"use the results folder {place.results}"):
        place.results.mkdir(parents=True, exist_ok=True)
        lock = FileLock(place.results / "record.lock", timeout=LOCK_SECONDS)
    with explained(f"open the record at {shown}", address):
        _reach(address)
        artifacts = (place.results / "artifacts").absolute().as_uri() if address.is_database else None
        return _within_reach(Store(address, shown, lock, artifacts))


def _open_file(place: RecordPlace, address: StoreAddress, shown: str, *, read_only: bool) -> Store:
    """`open_store` for a sqlite file."""
    file = address.file
    assert file is not None
    own = not place.elsewhere
    beside = file.parent / "artifacts"
    with explained(f"use the results folder {place.results}"):
        if read_only and file.exists() and not database.can_write(file):
            with explained(f"open the record at {shown}", address):
                copy = database.copied(file)
                address = StoreAddress.of_file(copy)
                database.follow(copy, beside, always=own)
                lock = FileLock(copy.with_name("record.lock"))
                return _within_reach(Store(address, shown, lock, beside.as_uri(), can_read(copy)))
        place.results.mkdir(parents=True, exist_ok=True)
    with explained(f"open the record at {shown}", address):
        file.parent.mkdir(parents=True, exist_ok=True)
        # The lock lies beside the file: commands with other results folders may use it too.
        lock = FileLock(file.parent / "record.lock", timeout=LOCK_SECONDS)
        with lock:
            if database.is_unfinished(file) if own else not file.exists():
                _quiet()
                database.create(file, beside)
            database.check(file)
            database.follow(file, beside, always=own)
        artifacts = (place.results / "artifacts").absolute().as_uri()
        return _within_reach(Store(address, shown, lock, artifacts, can_read(file)))


def _within_reach(store: Store) -> Store:
    """The store, once it answered: MLflow's client sees to that, unless the file is read without it."""
    if not store.direct:
        with store.lock:
            store.reader.experiments("promptarena/")
    return store


def _quiet() -> None:
    """Set MLflow's logging and waiting; settings of the user's own stay."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    # MLflow's own limits keep a command waiting for a server that has died for many minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "4")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    import mlflow  # noqa: F401  (its import configures logging, so levels are set after it)

    logging.getLogger("alembic").setLevel(logging.WARNING)
    # MLflow logs a database's errors with their traceback and raises them as well; `explained` shows what is raised.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


def _client(address: StoreAddress) -> "MlflowClient":
    _quiet()
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=address.uri)
    client.search_experiments(max_results=1)
    return client


def _reach(address: StoreAddress) -> None:
    """Fail at once where MLflow would try again for minutes.

    Raises:
        UserError: Nothing answers.
    """
    try:
        if address.is_server:
            return _reach_server(address)
        if address.is_database:
            from sqlalchemy import make_url

            url = make_url(address.uri)
            port = url.port or PORTS.get(url.get_backend_name())
            if url.host and port:
                socket.create_connection((url.host, port), ANSWER_SECONDS).close()
    except OSError as error:
        what = "tracking server" if address.is_server else "database"
        reason = address.scrubbed(first_line(_innermost(error))).strip()
        raise UserError(
            f"no {what} answers at {address.shown} ({reason}); {_advice(error)}, "
            "or unset MLFLOW_TRACKING_URI to keep the record in the results folder"
        ) from error


def _reach_server(address: StoreAddress) -> None:
    """`_reach` for a tracking server."""
    status = ask_server(address).status_code
    # Without credentials the server may answer 401 or 403; MLflow's client sends them.
    if status == 404 or status >= 500:
        raise UserError(
            f"what answers at {address.shown} is no working MLflow tracking server (status {status}); "
            "see the address, or start the server again"
        )


def _advice(error: OSError) -> str:
    """What to do about a store that is not reached."""
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "name the authority of its certificate in MLFLOW_TRACKING_SERVER_CERT_PATH"
    if "CA certificate bundle" in str(error) or "TLS certificate file" in str(error):
        return "see MLFLOW_TRACKING_SERVER_CERT_PATH and MLFLOW_TRACKING_CLIENT_CERT_PATH"
    return "start it"


def _innermost(error: BaseException) -> BaseException:
    """What an error comes from in the end: libraries of the network wrap it several times."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return error
