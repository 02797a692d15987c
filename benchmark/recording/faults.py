"""Errors of MLflow, of databases and of the file system in one line: the cause, and what to do."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from filelock import Timeout

from promptarena.benchmark.core.errors import UserError, first_line
from promptarena.benchmark.recording.address import StoreAddress

LIBRARIES = ("mlflow", "sqlalchemy", "alembic", "requests", "urllib3")
"""The libraries whose errors are the store's; an error of another kind is a fault of this program."""

_HELD = "another process holds it; wait for that one, or stop it"
_HINTS = (
    ("not a database", "the file is damaged; restore a copy, or move it away to start a new record"),
    ("disk image is malformed", "the file is damaged; restore a copy, or move it away to start a new record"),
    ("out-of-date database schema", "another MLflow version wrote it; back it up, then run 'mlflow db upgrade' on it"),
    ("Can't locate revision", "a newer MLflow wrote it; upgrade mlflow"),
    ("disk is full", "free some space"),
    ("disk I/O error", "the disk may be full or broken; free some space"),
    ("No space left on device", "free some space"),
    ("Disk quota exceeded", "free some space"),
    ("File too large", "free some space, or raise the limit on a file's size"),
    ("readonly database", "make it writable, or choose another results folder"),
    ("Read-only file system", "make it writable, or choose another results folder"),
    ("Permission denied", "make it writable, or choose another results folder"),
    (
        "error code 401",
        "the server asks who you are: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
        "MLFLOW_TRACKING_TOKEN",
    ),
    ("error code 403", "this user may not do that; see MLFLOW_TRACKING_USERNAME or MLFLOW_TRACKING_TOKEN"),
    ("Max retries exceeded", "the tracking server no longer answers; start it, and give the same command again"),
    ("error code 404", "no MLflow tracking server answers there; see the address"),
    ("database is locked", _HELD),
)
"""What to do, by what the cause says. Each is a phrase of the library or system, which no path holds by accident."""

_AWAY = (
    "Max retries exceeded",
    "Connection refused",
    "Connection reset",
    "Connection aborted",
    "RemoteDisconnected",
    "Read timed out",
    "error code 502",
    "error code 503",
    "error code 504",
    "server closed the connection",
    "could not connect to server",
    "connection to server at",
)
"""What errors of a server say that does not answer at the moment."""


class StoreAwayError(UserError):
    """The store's server does not answer: it is started again, or the network fails. Later it may answer."""


@contextmanager
def explained(action: str, address: StoreAddress | None = None) -> Iterator[None]:
    """A context in which errors of the store and of the file system become one line.

    Args:
        action: What is done, for the line "cannot `action`: ...".
        address: The address whose secrets are left out of the line.

    Raises:
        UserError: The store or the file system fails inside the context.
    """
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise _one_line(action, error, address) from error
    except Exception as error:
        if type(error).__module__.split(".")[0] not in LIBRARIES:
            raise
        raise _one_line(action, error, address) from error


def cause_of(error: BaseException) -> str:
    """What went wrong, in one line.

    Args:
        error: An error. SQLAlchemy and MLflow wrap that of the database, and may say something else first.

    Returns:
        The database's own message where there is one, else the first line of the error.
    """
    inner: BaseException | None = error
    while inner is not None:
        original: Any = getattr(inner, "orig", None)
        if isinstance(original, BaseException) and str(original).strip():
            return first_line(original)
        inner = inner.__cause__ or inner.__context__
    lines = [line for line in str(error).splitlines() if line.strip()]
    named = (re.match(r"\((?:\w+\.)+\w+\) (.+)", line) for line in lines)
    return next((found[1] for found in named if found), lines[0].strip() if lines else type(error).__name__)


def _one_line(action: str, error: Exception, address: StoreAddress | None) -> UserError:
    cause, hint = cause_of(error), ""
    if isinstance(error, Timeout):
        cause, hint = f"{error.lock_file} is locked", _HELD
    elif isinstance(error, OSError) and error.strerror:
        cause = error.strerror
    hint = hint or next((advice for sign, advice in _HINTS if sign in cause), "")
    if isinstance(error, OSError) and error.strerror and error.filename:
        cause = f"{cause} ({error.filename})"
    cause = address.scrubbed(cause) if address else cause
    kind = StoreAwayError if any(sign in str(error) for sign in _AWAY) else UserError
    return kind(f"cannot {action}: {cause}" + (f"; {hint}" if hint else ""))
