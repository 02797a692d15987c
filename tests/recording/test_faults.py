"""Errors of stores in one line: the cause, and advice only where it is true."""

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy
from filelock import Timeout
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.recording.faults import cause_of, explained


def line(error: Exception) -> str:
    with pytest.raises(UserError) as refused, explained("read the record"):
        raise error
    text = str(refused.value)
    assert len(text.splitlines()) == 1
    return text


def wrapped(message: str) -> Exception:
    """A database's error as MLflow passes it on: the cause is not on the first line."""
    from mlflow.exceptions import MlflowException

    inner = OperationalError("SELECT 1", {}, sqlite3.OperationalError(message))
    inner.add_detail("raised as a result of Query-invoked autoflush; consider using a session.no_autoflush block")
    made = MlflowException(str(inner))
    made.__cause__ = inner
    return made


@pytest.mark.parametrize("message", ["database is locked", "database or disk is full", "no such table: runs"])
def test_the_cause_is_the_databases_own_message(message: str) -> None:
    assert cause_of(wrapped(message)) == message
    bare = wrapped(message)
    bare.__cause__ = None
    assert cause_of(bare) == message


@given(st.sampled_from(["clock", "block", "unlocked", "full", "denied", "readonly", "code 401", "malformed"]))
def test_a_path_is_no_reason_for_advice(word: str) -> None:
    for error in (
        FileNotFoundError(2, "No such file or directory", f"/data/{word}/mlflow.db"),
        wrapped(f"no such table: {word}"),
    ):
        assert ";" not in line(error)


def test_another_process_is_named_only_where_one_holds_the_record(tmp_path: Path) -> None:
    assert "another process holds it" in line(Timeout(str(tmp_path / "record.lock")))
    assert "another process holds it" in line(wrapped("database is locked"))
    assert "another process" not in line(OSError(37, "No locks available", str(tmp_path / "record.lock")))


def test_faults_of_this_program_are_not_hidden() -> None:
    with pytest.raises(KeyError), explained("read the record"):
        raise KeyError("x")


def test_sqlalchemys_first_line_is_not_the_cause() -> None:
    assert sqlalchemy.__name__ == "sqlalchemy"
    assert str(wrapped("disk I/O error")).startswith("(raised as a result")
    assert "disk I/O error" in line(wrapped("disk I/O error"))
