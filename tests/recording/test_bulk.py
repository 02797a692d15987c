"""Rows written in one transaction; that they are MLflow's own is tested with imports, in exports/test_importing.py."""

import math
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from promptarena.benchmark.recording.bulk import (
    FinishedRun,
    artifact_location,
    begun,
    free_id,
    insert,
    transaction,
)
from promptarena.benchmark.recording.database import create
from promptarena.benchmark.recording.mlflow_view import DatasetRow, ModelRow

DATASET = DatasetRow("dtd", "abc", "promptarena", "{}", "training")
RUN = FinishedRun(
    run_id="a" * 32,
    name="coop",
    started=1000,
    ended=2000,
    artifact_uri="file:///nowhere",
    tags={"run_key": "key 1", "level": "run"},
    params={"epochs": "5"},
    points=[("loss", 2.0, 7, 1), ("loss", math.nan, 7, 3), ("loss", 1.0, 9, 2), ("peak", math.inf, 7, 0)],
    datasets=[DATASET, replace(DATASET, name="dtd/base", context="evaluation")],
    model=ModelRow("coop", {"seed": "1"}, {"suite": "s"}),
    measured={"peak": DATASET},
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    create(tmp_path / "mlflow.db", tmp_path / "artifacts")
    MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}").create_experiment(
        "e", artifact_location="file:///a"
    )
    return tmp_path / "mlflow.db"


def client(file: Path) -> MlflowClient:
    return MlflowClient(tracking_uri=f"sqlite:///{file}")


def test_mlflow_reads_what_was_written(file: Path) -> None:
    with transaction(file) as connection:
        insert(connection, "1", [RUN, replace(RUN, run_id="b" * 32, tags={}, params={}, points=[])])
    run = client(file).get_run(RUN.run_id)
    assert (run.info.status, run.info.start_time, run.info.end_time) == ("FINISHED", 1000, 2000)
    assert run.data.tags == {"mlflow.runName": "coop", **RUN.tags}
    assert math.isnan(run.data.metrics["loss"]), "the value of the last step"
    assert run.data.metrics["peak"] > 1e308
    assert len(client(file).get_metric_history(RUN.run_id, "loss")) == 3
    for run_id in ("a" * 32, "b" * 32):
        used = client(file).get_run(run_id).inputs.dataset_inputs
        assert {(each.dataset.name, each.tags[0].value) for each in used} == {
            ("dtd", "training"),
            ("dtd/base", "evaluation"),
        }
    with sqlite3.connect(file) as database:
        assert database.execute("SELECT count(*) FROM datasets").fetchone() == (2,)
    models = {each.source_run_id: each for each in client(file).search_logged_models(["1"])}
    assert set(models) == {"a" * 32, "b" * 32}
    model = models["a" * 32]
    assert (model.name, model.status, model.model_type) == ("coop", "READY", "prompt learner")
    assert (model.params, model.tags["suite"]) == ({"seed": "1"}, "s")
    assert [(each.key, each.dataset_name) for each in model.metrics or ()] == [("peak", "dtd")]
    assert [each.model_id for each in run.outputs.model_outputs] == [model.model_id]


def test_nothing_is_written_where_one_run_cannot_be(file: Path) -> None:
    with pytest.raises(sqlite3.IntegrityError), transaction(file) as connection:
        insert(connection, "1", [RUN, RUN])
    assert client(file).search_runs(["1"]) == []


def test_runs_are_found_by_key_unless_they_were_deleted(file: Path) -> None:
    with transaction(file) as connection:
        insert(connection, "1", [RUN])
        assert artifact_location(connection, "1") == "file:///a"
    for experiment, found in (("1", {"key 1"}), ("0", set())):
        with transaction(file) as connection:
            assert begun(connection, experiment, ["key 1", "key 2"]) == found
            assert begun(connection, experiment, ["key 2"]) == set()
    client(file).delete_run(RUN.run_id)
    with transaction(file) as connection:
        assert begun(connection, "1", ["key 1"]) == set()
        assert free_id(connection, ids()) == "c" * 32


def ids() -> Iterator[str]:
    yield from ("a" * 32, "c" * 32)
