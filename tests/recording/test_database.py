"""The record's file: whole or not there, found again after it was moved, and read where nothing may be written."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from new_records import MADE
from record_runs import begin, plan, result
from sqlalchemy import create_engine, text

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.recording import database
from promptarena.benchmark.recording.record import Record, RecordPlace


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with a finished run and one that was interrupted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        folder = tmp_path_factory.mktemp("first") / "results"
        record = Record.open(RecordPlace(folder))
        record.finish(begin(record, plan("moved")), result(files={"learned.safetensors": b"tensors"}))
        begin(record, plan("moved", seed=2))
    return folder


@pytest.fixture(autouse=True)
def _own_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(database, "create", MADE)


def artifacts_below(folder: Path, record: Record) -> list[str]:
    """The artifacts of the finished run, all of which come from below this folder."""
    (stored,) = record.results("moved")
    uri = record.access.client.get_run(stored.run_id).info.artifact_uri
    assert uri.startswith(f"{folder.absolute().as_uri()}/")
    assert record.recall(stored.run_id).planned == plan("moved")
    return sorted(record.artifacts(stored.run_id))


@pytest.mark.parametrize("name", ["elsewhere", "what now?", "100% #1; a%20b", "ü & 'ö'"])
@pytest.mark.parametrize("original", ["stays", "goes"])
def test_a_copied_record_stands_on_its_own(made: Path, tmp_path: Path, name: str, original: str) -> None:
    first, second = tmp_path / "first", tmp_path / name
    shutil.copytree(made, first)
    Record.open(RecordPlace(first))
    shutil.copytree(first, second)
    before = {path: path.stat().st_mtime_ns for path in first.rglob("*")}
    if original == "goes":
        shutil.rmtree(first)
    record = Record.open(RecordPlace(second))
    assert "learned.safetensors" in artifacts_below(second, record)
    record.finish(begin(record, plan("moved", seed=3)), result())
    begin(record, plan("new"))
    uris = [run.info.artifact_uri for suite in ("moved", "new") for run in _runs(record, suite)]
    assert len(uris) == 8
    assert all(uri.startswith(second.as_uri()) for uri in uris)
    assert set(os.listdir(tmp_path)) == {name, *(["first"] if original == "stays" else [])}
    if original == "stays":
        assert {path: path.stat().st_mtime_ns for path in first.rglob("*")} == before


def _runs(record: Record, suite: str) -> list:  # type: ignore[type-arg]
    experiment = record.access.find_experiment(suite)
    assert experiment
    return record.access.reader.search(experiment)


def test_another_name_of_the_folder_changes_nothing(made: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(made)
    assert artifacts_below(made, Record.open(RecordPlace(tmp_path / "link")))


def test_artifacts_that_stayed_behind_are_still_found(made: Path, tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    shutil.copy(made / "mlflow.db", tmp_path / "results")
    assert artifacts_below(made, Record.open(RecordPlace(tmp_path / "results")))


def test_a_database_elsewhere_keeps_its_artifacts_in_the_results_folder(tmp_path: Path) -> None:
    place = RecordPlace(tmp_path / "results", f"sqlite:///{tmp_path / 'shared' / 'runs.db'}")
    for _ in range(2):
        record = Record.open(place)
        run_id = begin(record, plan("shared"))
        uri = record.access.client.get_run(run_id).info.artifact_uri
        assert uri.startswith((tmp_path / "results" / "artifacts").as_uri())


@pytest.fixture
def read_only(made: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the record on a file system that cannot be written."""
    folder = tmp_path / "read only?"
    folder.mkdir()
    shutil.copytree(made, tmp_path / "source")
    if subprocess.run(["mount", "--bind", tmp_path / "source", folder], capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_record_that_may_only_be_read_is_read(read_only: Path) -> None:
    record = Record.open_existing(RecordPlace(read_only))
    assert "learned.safetensors" in artifacts_below(read_only, record)
    assert record.shown == f"sqlite:///{read_only / 'mlflow.db'}"
    assert {run.status for run in record.index("moved").values()} == {"finished", "running"}
    with pytest.raises(UserError, match="make it writable"):
        Record.open(RecordPlace(read_only))


def _half_made(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE experiments (experiment_id INTEGER PRIMARY KEY, name TEXT)")
        connection.execute("INSERT INTO experiments VALUES (0, 'Default')")
        connection.execute("CREATE TABLE runs (run_uuid TEXT PRIMARY KEY)")


def _empty(path: Path) -> None:
    path.touch()


@pytest.mark.parametrize("leave", [_half_made, _empty])
def test_a_database_that_was_not_made_to_its_end_is_made_again(tmp_path: Path, leave: object) -> None:
    tmp_path.joinpath("mlflow.db.unfinished").write_text("left by a process that was killed")
    leave(tmp_path / "mlflow.db")  # type: ignore[operator]
    record = Record.open(RecordPlace(tmp_path))
    record.finish(begin(record, plan("again")), result())
    assert len(Record.open(RecordPlace(tmp_path)).results("again")) == 1
    assert sorted(os.listdir(tmp_path)) == ["artifacts", "mlflow.db", "record.lock"]


def test_a_database_has_its_name_only_once_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def replace(source: Path, target: Path) -> None:
        with closing(sqlite3.connect(source)) as connection:
            assert connection.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)
        assert not target.exists()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(database.os, "replace", replace)
    with pytest.raises(UserError, match="free some space"):
        Record.open(RecordPlace(tmp_path))
    assert os.listdir(tmp_path) == ["record.lock"]


def test_only_a_new_database_is_written_without_waiting_for_the_disk_until_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: dict[str, int] = {}
    happened: list[str] = []

    def store(uri: str, _: str) -> SimpleNamespace:
        engines = {"other": create_engine(f"sqlite:///{tmp_path / 'other.db'}"), "new": create_engine(uri)}
        for name, engine in engines.items():
            with engine.connect() as connection:
                waits[name] = connection.execute(text("PRAGMA synchronous")).scalar_one()
        return SimpleNamespace(engine=engines["new"])

    monkeypatch.setattr("mlflow.store.tracking.sqlalchemy_store.SqlAlchemyStore", store)
    monkeypatch.setattr(os, "fsync", lambda _: happened.append("written to the disk"))
    monkeypatch.setattr(os, "replace", lambda old, new: happened.append(Path(new).name))
    (tmp_path / "link").symlink_to(tmp_path)  # sqlite names the file that it leads to
    database.create(tmp_path / "link" / "mlflow.db", tmp_path / "artifacts")
    assert waits == {"new": 0, "other": 2}
    assert happened == ["written to the disk", "mlflow.db"]


def test_a_record_with_runs_is_never_made_again(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "results")
    path = tmp_path / "results" / "mlflow.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA user_version = 0")
    assert not database.is_unfinished(path)
    assert len(Record.open(RecordPlace(tmp_path / "results")).results("moved")) == 1
