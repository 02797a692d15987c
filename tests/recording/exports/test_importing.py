"""Imports of many runs at a time: the same record as through MLflow's client, whatever interrupted them."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from drawn_predictions import drawn
from export_folders import write
from exported import BASE, NOVEL, OUTLINE, exported, result
from mlflow import MlflowClient

from promptarena.benchmark.cli.commands import export as command
from promptarena.benchmark.cli.commands.export import import_exports
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.predictions import to_parquet
from promptarena.benchmark.core.runs import Score
from promptarena.benchmark.recording import readers
from promptarena.benchmark.recording.exports import importing
from promptarena.benchmark.recording.exports.exported_run import ExportedRun
from promptarena.benchmark.recording.exports.folder import read_export, write_file, write_manifest
from promptarena.benchmark.recording.exports.importing import File, files_of, verify
from promptarena.benchmark.recording.place import RecordPlace
from promptarena.benchmark.recording.record import Record
from promptarena.benchmark.recording.tables import TableWriter
from promptarena.benchmark.report.sections import Section

DIFFERENT = {"owner.heartbeat", "comparison", "mlflow.parentRunId"}
"""Tags that differ between two imports of the same run."""


@pytest.fixture(autouse=True)
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than everything else here."""
    monkeypatch.setattr(Section, "figures", lambda *words: {})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Runs of every kind: two of one few-shot split, one without a split, NaN in curves, files and predictions."""
    made = [drawn(50, 3, dataset="dtd", subset="base", seed=1), drawn(60, 2, dataset="dtd", subset="novel", seed=2)]
    scores = tuple(Score(each.target, *each.counts()) for each in made)
    curves = ({"epoch": 1, "loss": float("nan"), "lr": 0.1}, {"epoch": 2, "loss": 0.5, "lr": 0.1})
    whole = exported("coop", 1, out=result(scores, curves=curves))
    runs = [whole, exported("maple", 1, days=2, duplicates=3), exported("zeroshot", None, out=result(curves=()))]
    out = write(tmp_path / "export", *runs, exported("coop", 2, out=result(SOME, unscored={NOVEL: "no images"})))
    file = tmp_path / "content"
    for name, content in (
        ("learned.safetensors", b"weights"),
        ("split.json", b"{}"),
        ("predictions/dtd.base.parquet", to_parquet(made[:1])),
        ("predictions/dtd.novel.parquet", to_parquet(made[1:])),
    ):
        file.write_bytes(content)
        write_file(out, whole.run_key, name, file)
    write_manifest(out, OUTLINE)
    return out


SOME = (Score(BASE, (30, 10), (40, 40)),)


def client_of(results: Path) -> MlflowClient:
    return MlflowClient(tracking_uri=f"sqlite:///{results / 'mlflow.db'}")


def runs_of(results: Path, level: str) -> list[Any]:
    client = client_of(results)
    experiment = client.get_experiment_by_name("promptarena/small")
    return list(client.search_runs([experiment.experiment_id], f"tags.level = '{level}'", max_results=1000))


def everything(results: Path) -> dict[str, dict[str, Any]]:
    """All that MLflow says of each run, by its name."""
    client, found = client_of(results), {}
    for run in runs_of(results, "run"):
        info, data = run.info, run.data
        artifacts = Path(info.artifact_uri.removeprefix("file://"))
        found[str(data.tags["label"]) + data.tags["seed"]] = {
            "info": (info.run_name, info.status, info.start_time, info.end_time, info.user_id, info.lifecycle_stage),
            "tags": {name: text for name, text in data.tags.items() if name not in DIFFERENT},
            "named": sorted(name for name in data.tags if name in DIFFERENT),
            "params": data.params,
            "metrics": {name: repr(value) for name, value in data.metrics.items()},
            "points": {
                name: sorted((point.step, repr(point.value)) for point in client.get_metric_history(info.run_id, name))
                for name in data.metrics
            },
            "inputs": [
                (dict(used.dataset), [(tag.key, tag.value) for tag in used.tags]) for used in run.inputs.dataset_inputs
            ],
            "files": {
                str(path.relative_to(artifacts)): path.read_bytes() for path in artifacts.rglob("*") if path.is_file()
            },
        }
    return found


def placed(results: Path) -> set[str]:
    """The ids of the runs; fails where one is unfinished or hangs under what is deleted or missing."""
    methods = {run.info.run_id: run for run in runs_of(results, "method")}
    (comparison,) = runs_of(results, "comparison")
    assert comparison.info.status == "FINISHED"
    assert "tables_key" in comparison.data.tags
    runs = runs_of(results, "run")
    for run in runs:
        assert run.info.status == "FINISHED"
        method = methods[run.data.tags["mlflow.parentRunId"]]
        assert run.data.tags["comparison"] == method.data.tags["mlflow.parentRunId"] == comparison.info.run_id
    return {run.info.run_id for run in runs}


def no_direct_file(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(readers, "REVISIONS", frozenset())


def test_runs_are_the_same_as_through_mlflows_client(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_exports([folder], RecordPlace(tmp_path / "file"))
    with monkeypatch.context() as patch:
        no_direct_file(patch)
        import_exports([folder], RecordPlace(tmp_path / "client"))
    directly, through_client = everything(tmp_path / "file"), everything(tmp_path / "client")
    assert len(directly) == 4
    assert directly == through_client
    assert len(placed(tmp_path / "file")) == 4
    shared = [run["inputs"] for run in directly.values()]
    assert sum(bool(inputs) for inputs in shared) >= 3


def test_they_are_exported_again_to_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    import_exports([folder], RecordPlace(tmp_path / "record"))
    record = Record.open_existing(RecordPlace(tmp_path / "record"))
    for stored in record.results("small"):
        again = ExportedRun.of(stored, record.recall(stored.run_id))
        assert again.content() == (folder / "runs" / f"{stored.run_key}.json").read_bytes()


@pytest.mark.parametrize("step", ["_write_artifacts", "insert", "_row"])
@pytest.mark.parametrize("many", [True, False])
def test_an_import_that_breaks_off_goes_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, many: bool
) -> None:
    results = tmp_path / "record"
    monkeypatch.setattr(command, "AT_ONCE", 50 if many else 1)
    real, calls = getattr(importing, step), []

    def breaks(*words: Any) -> Any:
        calls.append(words)
        if len(calls) == (1 if many and step == "insert" else 3):
            raise KeyboardInterrupt
        return real(*words)

    with monkeypatch.context() as patch:
        patch.setattr(importing, step, breaks)
        with pytest.raises(KeyboardInterrupt):
            import_exports([folder], RecordPlace(results))
    assert len(runs_of(results, "run")) == (0 if many else 2)
    import_exports([folder], RecordPlace(results))
    import_exports([folder], RecordPlace(tmp_path / "undisturbed"))
    assert everything(results) == everything(tmp_path / "undisturbed")
    assert len(placed(results)) == 4
    known = {run.info.run_id for level in ("run", "method", "comparison") for run in runs_of(results, level)}
    assert {path.name for path in (results / "artifacts").iterdir() if path.name != "0"} <= known, "folders of no run"


def test_tables_that_were_not_written_follow(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "record"

    def killed(*words: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TableWriter, "log_tables", killed)
        with pytest.raises(KeyboardInterrupt):
            import_exports([folder], RecordPlace(results))
    assert len(runs_of(results, "run")) == 4
    import_exports([folder], RecordPlace(results))
    assert "0 imported, 4 recorded already" in capsys.readouterr().out
    assert len(placed(results)) == 4


def test_runs_whose_parents_were_deleted_get_new_ones(folder: Path, tmp_path: Path) -> None:
    results = tmp_path / "record"
    import_exports([folder], RecordPlace(results))
    before, ids = everything(results), placed(results)
    for level in ("method", "comparison"):
        for run in runs_of(results, level):
            client_of(results).delete_run(run.info.run_id)
    import_exports([folder], RecordPlace(results))
    assert placed(results) == ids
    assert everything(results) == before


def test_runs_that_were_deleted_are_imported_again(folder: Path, tmp_path: Path) -> None:
    results = tmp_path / "record"
    import_exports([folder], RecordPlace(results))
    before, ids = everything(results), placed(results)
    gone = sorted(ids)[:2]
    for run_id in gone:
        client_of(results).delete_run(run_id)
    import_exports([folder], RecordPlace(results))
    assert everything(results) == before
    assert not placed(results) & set(gone)


def test_an_import_into_its_own_record_leaves_it_as_it_is(folder: Path, tmp_path: Path) -> None:
    results = tmp_path / "record"
    import_exports([folder], RecordPlace(results))
    with sqlite3.connect(results / "mlflow.db") as database:
        before = list(database.iterdump())
    import_exports([folder], RecordPlace(results))
    with sqlite3.connect(results / "mlflow.db") as database:
        assert list(database.iterdump()) == before


def test_runs_that_another_import_recorded_meanwhile_are_left(folder: Path, tmp_path: Path) -> None:
    record, export = Record.open(RecordPlace(tmp_path / "record")), read_export(folder)
    comparison, files = record.comparison("small", "0" * 64, "begun"), files_of([export])
    runs = [(run, files.get((run.run_key, run.run_id), {})) for run in export.runs]
    named = {run.spec.label: run.planned().spec.name for run, _ in runs}
    parents = {
        label: command.ParentRuns(comparison, record.method_run(comparison, name)) for label, name in named.items()
    }
    assert [importing.import_runs(record, runs, parents) for _ in range(2)] == [4, 0]
    assert len(runs_of(tmp_path / "record", "run")) == 4


def test_an_import_that_an_older_version_began_is_taken_up(folder: Path, tmp_path: Path) -> None:
    results = RecordPlace(tmp_path / "record")
    record = Record.open(results)
    run = read_export(folder).runs[0]
    comparison = record.comparison("small", "0" * 64, "begun")
    parents = command.ParentRuns(comparison, record.method_run(comparison, run.planned().spec.name))
    begun = record.begin(run.planned(), parents, run.backbone, run.miniature, run.imported())
    import_exports([folder], results)
    found = {found.info.run_id: found.info.status for found in runs_of(results.results, "run")}
    assert found[begun] == "FINISHED"
    assert len(found) == 4


def test_a_file_that_changes_after_it_was_verified_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with pytest.raises(UserError, match="was changed while it was read"):
        File(path, "0" * 64).read()
    with pytest.raises(UserError, match="cannot read"):
        File(tmp_path / "missing", "0" * 64).read()


def test_predictions_of_other_counts_are_refused(folder: Path, tmp_path: Path) -> None:
    export = read_export(folder)
    files = files_of([export])
    (run,) = [run for run in export.runs if (folder / "files" / run.run_key).exists()]
    verify(run, files[run.run_key, run.run_id])
    other = tmp_path / "other"
    other.write_bytes(to_parquet([drawn(50, 3, dataset="dtd", subset="base", seed=9)]))
    write_file(folder, run.run_key, "predictions/dtd.base.parquet", other)
    write_manifest(folder, OUTLINE)
    with pytest.raises(UserError, match="does not hold the predictions that the scores count"):
        import_exports([folder], RecordPlace(tmp_path / "record"))
    assert not (tmp_path / "record").exists()
    assert json.loads((folder / "manifest.json").read_text())["count"] == 4
