"""Stores that cannot be used are one line with advice."""

import os
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.recording import database
from promptarena.benchmark.recording.record import Record, RecordPlace
from promptarena.benchmark.recording.store import explained


def _one_line(error: pytest.ExceptionInfo[UserError], *words: str) -> None:
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize("uri", ["file:///tmp/mlruns", "./mlruns", "mlruns"])
def test_plain_files_are_no_store(tmp_path: Path, uri: str) -> None:
    with pytest.raises(UserError) as error:
        Record.open(RecordPlace(tmp_path, uri))
    _one_line(error, uri, "sqlite:///")


def test_a_damaged_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("not a database at all, but long enough to be read as a header" * 20)
    with pytest.raises(UserError) as error:
        Record.open(RecordPlace(tmp_path))
    _one_line(error, str(tmp_path / "mlflow.db"), "damaged")


def test_a_results_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError) as error:
        Record.open(RecordPlace(tmp_path / "file" / "results"))
    _one_line(error, str(tmp_path / "file" / "results"), "Not a directory")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UserError) as error:
        Record.open(RecordPlace(tmp_path))
    tmp_path.chmod(0o700)
    _one_line(error, str(tmp_path), "writable")


def test_a_record_that_may_only_be_read_is_read_and_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Record.open(RecordPlace(tmp_path)).comparison("small", "key", "description")
    (tmp_path / "record.lock").unlink()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    monkeypatch.setattr(database, "can_write", lambda _: False)  # as for someone who is not root
    record = Record.open_existing(RecordPlace(tmp_path))
    assert record.index("small") == {}
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("fault", "advice"),
    [
        (PermissionError(13, "Permission denied", "/r"), "Permission denied (/r); make it writable"),
        (OSError(28, "No space left on device"), "No space left on device; free some space"),
        (sqlite3.OperationalError("attempt to write a readonly database"), "make it writable"),
        (sqlite3.OperationalError("database is locked"), "another process holds it"),
    ],
)
def test_faults_come_with_advice(fault: Exception, advice: str) -> None:
    with pytest.raises(UserError) as error, explained("record it"):
        raise fault
    _one_line(error, "cannot record it: ", advice)


def test_a_full_database_is_one_line_and_no_traceback(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    record = Record.open(RecordPlace(tmp_path))

    def full(*_: object) -> None:
        raise sqlalchemy.exc.OperationalError("INSERT", {}, sqlite3.OperationalError("database or disk is full"))

    sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", full)
    try:
        with pytest.raises(UserError, match=r"database or disk is full.*; free some space"):
            record.comparison("full", "key", "description")
    finally:
        sqlalchemy.event.remove(sqlalchemy.Engine, "before_cursor_execute", full)
    assert "Traceback" not in capfd.readouterr().err


def test_faults_of_the_program_are_not_the_user_s() -> None:
    with pytest.raises(KeyError), explained("record it"):
        raise KeyError("name")


def test_a_server_that_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        Record.open(RecordPlace(tmp_path, "http://me:secret@127.0.0.1:9"))
    _one_line(error, "http://127.0.0.1:9", "start it")
    assert "secret" not in str(error.value)
