"""The time of a store: several machines compare signs of life by it, since their own clocks may differ."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

from promptarena.benchmark.recording.address import StoreAddress
from promptarena.benchmark.recording.servers.asking import ask_server

ASKED_AGAIN_SECONDS = 300.0
QUERIES = {
    "postgresql": "SELECT EXTRACT(EPOCH FROM clock_timestamp())",
    "mysql": "SELECT UNIX_TIMESTAMP(SYSDATE(3))",
    "mssql": "SELECT DATEDIFF_BIG(MILLISECOND, '1970-01-01', SYSUTCDATETIME()) / 1000.0",
}
"""How each kind of database says its time, in seconds since the epoch."""


@dataclass
class StoreClock:
    """The clock of a store's machine. It is asked now and then; in between this machine counts on.

    Args:
        ask: Asks for the time, in seconds since the epoch.
    """

    ask: Callable[[], float]
    _read: tuple[float, float] | None = field(default=None, init=False)

    def now(self) -> float:
        """The time there, in seconds since the epoch.

        Raises:
            OSError: The store does not answer. A database's errors are those of SQLAlchemy.
        """
        if self._read is None or time.monotonic() - self._read[1] > ASKED_AGAIN_SECONDS:
            answer = self.ask()
            self._read = answer, time.monotonic()
        read, then = self._read
        return read + time.monotonic() - then


def clock_of(address: StoreAddress) -> StoreClock:
    """The clock of a store: that of the tracking server or database, and this machine's for a file.

    Args:
        address: The store's address.
    """
    if address.is_server:
        return StoreClock(lambda: _server_time(address))
    kind = address.scheme.partition("+")[0]
    if kind in QUERIES:
        return StoreClock(lambda: _database_time(address, QUERIES[kind]))
    return StoreClock(time.time)


def _server_time(address: StoreAddress) -> float:
    """The time in an answer of a tracking server; this machine's where its answers have none."""
    date = ask_server(address).headers.get("Date", "")
    try:
        return parsedate_to_datetime(date).timestamp()
    except ValueError:
        return time.time()


def _database_time(address: StoreAddress, query: str) -> float:
    from sqlalchemy import create_engine, text

    engine = create_engine(address.uri)
    try:
        with engine.connect() as connection:
            return float(connection.execute(text(query)).scalar_one())
    finally:
        engine.dispose()
