"""A file is read without MLflow, and gives the values that MLflow's client gives."""

import math
import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from record_runs import begin, plan, result

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.recording import names
from promptarena.benchmark.recording.readers import ClientReader, FileReader, Reader
from promptarena.benchmark.recording.record import Record, RecordPlace
from promptarena.benchmark.recording.store import open_store

SUITES = ("first", "second%", "first-and-more")
TEXTS = ("a", "A", "a%", "a_b", "ä ö", "", "it's", "%", 'two "words"')


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record of generated runs: every status, deleted runs, equal times, metrics that are no numbers."""
    folder = tmp_path_factory.mktemp("readers")
    store = open_store(RecordPlace(folder))
    chosen = random.Random(0)
    for suite in SUITES:
        experiment = store.client.create_experiment(f"promptarena/{suite}", artifact_location=store.artifacts)
        store.client.set_experiment_tag(experiment, "note", chosen.choice(TEXTS))
        for _ in range(12):
            started = chosen.choice((1000, 1000, 2000, 3000))
            run = store.client.create_run(experiment, start_time=started, run_name=chosen.choice(TEXTS) or None)
            values = (1.5, 0.1 + 0.2, math.nan, math.inf, -math.inf, 1e-320, 3.0)
            store.client.log_batch(
                run.info.run_id,
                [
                    Metric(f"{names.CURVES}{name}", chosen.choice(values), chosen.randrange(5), chosen.randrange(4))
                    for name in ("loss", "Loss", "loss/ce")
                    for _ in range(chosen.randrange(6))
                ],
                [Param(f"config.{number}", text or "-") for number, text in enumerate(TEXTS)],
                [RunTag(names.RUN_KEY.name, chosen.choice(TEXTS)), RunTag(names.LEVEL.name, chosen.choice("ab"))],
            )
            for file in chosen.sample(("config.json", "tables/x.md"), chosen.randrange(3)):
                store.client.log_text(run.info.run_id, f"{file} {chosen.random()}", file)
            if (status := chosen.choice(("RUNNING", "FINISHED", "FAILED", "KILLED", "deleted"))) == "deleted":
                store.client.delete_run(run.info.run_id)
            elif status != "RUNNING":
                store.client.set_terminated(run.info.run_id, status, end_time=chosen.choice((5000, 6000)))
    gone = store.client.get_experiment_by_name("promptarena/second%")
    assert gone is not None
    store.client.delete_experiment(gone.experiment_id)
    return folder


@pytest.fixture
def readers(folder: Path) -> tuple[Reader, Reader]:
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    client = ClientReader(MlflowClient(uri), uri)
    return FileReader(folder / "mlflow.db", lambda: client), client


def test_both_readers_give_the_same(readers: tuple[Reader, Reader], tmp_path: Path) -> None:
    file, client = readers
    for suite in (*SUITES, "none", "First"):
        assert file.experiment(f"promptarena/{suite}") == client.experiment(f"promptarena/{suite}")
    for prefix in ("promptarena/", "promptarena/first", "none"):
        found = {each.name: each for each in file.experiments(prefix)}
        assert found == {each.name: each for each in client.experiments(prefix)}
    for suite in SUITES:
        experiment = client.experiment(f"promptarena/{suite}")
        assert experiment is not None
        runs = file.search(experiment.experiment_id)
        # repr, because NaN equals nothing
        assert repr(runs) == repr(client.search(experiment.experiment_id))
        for status in ("FINISHED", "RUNNING"):
            assert repr(file.search(experiment.experiment_id, status=status)) == repr(
                client.search(experiment.experiment_id, status=status)
            )
        for text in ("a", "A", "a%", "ä ö", "none"):
            tags = ((names.RUN_KEY, text), (names.LEVEL, "a"))
            assert repr(file.search(experiment.experiment_id, *tags)) == repr(
                client.search(experiment.experiment_id, *tags)
            )
        for run in runs:
            run_id, uri = run.info.run_id, run.info.artifact_uri
            assert repr(file.run(run_id)) == repr(client.run(run_id)) == repr(run)
            assert repr(file.history(run_id, names.CURVES)) == repr(client.history(run_id, names.CURVES))
            assert file.artifacts(uri) == client.artifacts(uri)
            for name in {"config.json", "tables/x.md"}:
                copies = [_copy(reader, uri, name, tmp_path / place) for reader, place in ((file, "f"), (client, "c"))]
                assert copies[0] == copies[1] == _read(file, uri, name) == _read(client, uri, name)


def _copy(reader: Reader, uri: str, name: str, folder: Path) -> bytes | None:
    folder.mkdir(exist_ok=True)
    try:
        return reader.fetch(uri, name, folder).read_bytes()
    except Exception:  # MLflow and the system have errors of their own for a missing file
        return None


def _read(reader: Reader, uri: str, name: str) -> bytes | None:
    try:
        return reader.content(uri, name)
    except Exception:  # MLflow and the system have errors of their own for a missing file
        return None


def test_the_installed_mlflow_makes_files_that_are_read_directly(folder: Path) -> None:
    assert open_store(RecordPlace(folder)).direct, "add the revision of MLflow's schema to REVISIONS, if it fits"


def test_a_file_of_another_schema_is_left_to_mlflow(tmp_path: Path) -> None:
    open_store(RecordPlace(tmp_path))
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    with pytest.raises(UserError, match="out-of-date database schema"):
        open_store(RecordPlace(tmp_path))


def test_what_is_recorded_already_is_found_without_mlflow(tmp_path: Path) -> None:
    record, planned = Record.open(RecordPlace(tmp_path)), plan("small")
    record.finish(begin(record, planned), result())
    code = f"""
import sys
from pathlib import Path
from promptarena.benchmark.recording.record import Record, RecordPlace
record = Record.open(RecordPlace(Path({str(tmp_path)!r})))
(stored,) = record.results("small")
record.recall(stored.run_id)
record.artifacts(stored.run_id)
assert "{planned.key}" in record.index("small")
print({{"mlflow", "sqlalchemy"}} & set(sys.modules))
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
