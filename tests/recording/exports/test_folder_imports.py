"""Exports that travel: whole again in another record."""

from pathlib import Path
from typing import Any

import pytest
from export_folders import path_of, rewritten
from exported import OUTLINE, exported, planned, result

from promptarena.benchmark.cli.commands.export import export_record, import_exports
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.recording import readers
from promptarena.benchmark.recording.exports.folder import (
    read_export,
    write_manifest,
    write_run,
)
from promptarena.benchmark.recording.record import ParentRuns, Record, RecordPlace


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A record with three runs, and the folder of another one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        ours = tmp_path_factory.mktemp("ours")
        record = Record.open(RecordPlace(ours))
        comparison = record.comparison("small", "k", "a comparison")
        for seed in (1, 2, 3):
            plan = planned(seed=seed)
            parents = ParentRuns(comparison, record.method_run(comparison, plan.spec.name))
            run_id = record.begin(plan, parents, "mini-clip", miniature=True)
            record.finish(run_id, result(files={"learned.safetensors": b"tensors"}))
    return ours, tmp_path_factory.mktemp("theirs")


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_record_travels_and_comes_back_the_same(
    records: tuple[Path, Path], suite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = records
    first, second = tmp_path / "first", tmp_path / "second"
    export_record(str(suite), first, RecordPlace(ours), with_learners=True)
    assert "3 runs of suite small" in capsys.readouterr().out
    before = files_of(first)
    assert sum(name.endswith("learned.safetensors") for name in before) == 3
    times = {path: path.stat().st_mtime_ns for path in (first / "runs").iterdir()}
    export_record(str(suite), first, RecordPlace(ours))
    assert "0 of them new" in capsys.readouterr().out
    assert files_of(first) == before
    assert {path: path.stat().st_mtime_ns for path in (first / "runs").iterdir()} == times

    import_exports([first, first], RecordPlace(theirs))
    assert "3 imported, 0 recorded already" in capsys.readouterr().out
    import_exports([first], RecordPlace(theirs))
    assert "0 imported, 3 recorded already" in capsys.readouterr().out
    export_record(str(suite), second, RecordPlace(theirs), with_learners=True)
    assert files_of(second) == before

    record = Record.open(RecordPlace(theirs))
    runs = [record.access.client.get_run(stored.run_id) for stored in record.results("small")]
    assert {run.data.tags["imported_from"] for run in runs} == {run.run_id for run in read_export(first).runs}
    for run in runs:
        assert run.info.end_time >= run.info.start_time
        assert run.data.metrics["accuracy_base"] == 50.0
    method = record.access.client.get_run(runs[0].data.tags["mlflow.parentRunId"])
    assert method.data.metrics["Base base-to-novel"] == 50.0


def test_an_interrupted_import_through_mlflows_client_goes_on(
    records: tuple[Path, Path], suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = tmp_path / "export"
    export_record(str(suite), export, RecordPlace(records[0]))
    finish, finished = Record.finish, list[str]()

    def interrupted(self: Record, run_id: str, *rest: Any) -> None:
        if finished:
            raise KeyboardInterrupt
        finish(self, run_id, *rest)
        finished.append(run_id)

    with monkeypatch.context() as patch:
        patch.setattr(readers, "REVISIONS", frozenset())
        patch.setattr(Record, "finish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            import_exports([export], RecordPlace(tmp_path / "new"))
    record = Record.open(RecordPlace(tmp_path / "new"))
    assert [stored.run_id for stored in record.results("small")] == finished
    import_exports([export], RecordPlace(tmp_path / "new"))
    experiment = record.access.client.get_experiment_by_name("promptarena/small").experiment_id
    runs = record.access.client.search_runs([experiment], "tags.level = 'run'")
    assert [run.info.status for run in runs] == ["FINISHED"] * 3


def test_nothing_is_imported_when_one_file_is_bad(records: tuple[Path, Path], suite: Path, tmp_path: Path) -> None:
    export = tmp_path / "export"
    export_record(str(suite), export, RecordPlace(records[0]))
    path = next((export / "runs").iterdir())
    path.write_text(path.read_text().replace('"fp32"', '"fp16"'))
    with pytest.raises(UserError, match=path.name):
        import_exports([export], RecordPlace(tmp_path / "new"))
    assert not (tmp_path / "new").exists()
    export_record(str(suite), export, RecordPlace(records[0]))
    assert len(read_export(export).runs) == 3


def test_a_file_of_a_newer_schema_is_not_overwritten(records: tuple[Path, Path], suite: Path, tmp_path: Path) -> None:
    run = exported(run_id="later")
    write_run(tmp_path / "out", run)
    rewritten(path_of(tmp_path / "out", run), reseal=True, schema_version=2)
    before = files_of(tmp_path / "out")
    with pytest.raises(UserError, match="schema version 2"):
        export_record(str(suite), tmp_path / "out", RecordPlace(records[0]))
    assert path_of(tmp_path / "out", run).read_bytes() == next(iter(before.values()))


def test_another_suite_s_export_is_not_mixed_in(records: tuple[Path, Path], suite: Path, tmp_path: Path) -> None:
    write_manifest(tmp_path / "out", OUTLINE.model_copy(update={"name": "other"}))
    with pytest.raises(UserError, match="suite other"):
        export_record(str(suite), tmp_path / "out", RecordPlace(records[0]))


def test_an_empty_record_has_nothing_to_export(suite: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no record in"):
        export_record(str(suite), tmp_path / "out", RecordPlace(tmp_path / "results"))
    assert not (tmp_path / "results").exists()
