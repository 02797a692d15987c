"""Exported runs: sealed, verified before use, the same bytes every time, and whole again in another record."""

import json
import math
import os
from pathlib import Path
from typing import Any

import exported as made
import jsonschema
import pytest
from absent import run_without_heavy_packages
from exported import OUTLINE, exported, planned, result

from promptarena.benchmark.cli.commands.export import export_record, import_exports
from promptarena.benchmark.cli.commands.leaderboard import LeaderboardRequest, leaderboard_of_exports
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.runs import Score, Target
from promptarena.benchmark.recording.exports import folder as exports
from promptarena.benchmark.recording.exports.checksummed import content_digest
from promptarena.benchmark.recording.exports.exported_run import ExportedRun, run_schema
from promptarena.benchmark.recording.exports.folder import (
    MANIFEST,
    Export,
    merged,
    read_export,
    write_file,
    write_manifest,
    write_run,
)
from promptarena.benchmark.recording.record import ParentRuns, Record, RecordPlace


def write(folder: Path, *runs: ExportedRun) -> Path:
    for run in runs:
        write_run(folder, run)
    write_manifest(folder, OUTLINE)
    return folder


def path_of(folder: Path, run: ExportedRun) -> Path:
    return folder / "runs" / f"{run.run_key}.json"


def rewritten(path: Path, *, reseal: bool, **changes: Any) -> None:
    """Change fields of a file, with a digest that fits or the old one."""
    document = json.loads(path.read_text()) | changes
    if reseal:
        document["digest"] = content_digest(document)
    path.write_text(json.dumps(document))


def refusal(folder: Path) -> str:
    with pytest.raises(UserError) as error:
        read_export(folder)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    hole = result(made.SCORES[:1], unscored={made.NOVEL: "no novel classes"})
    runs = (exported(), exported("zeroshot", None), exported("linear-probe", 2, out=hole))
    export = read_export(write(tmp_path, *runs))
    assert {run.run_key: run for run in export.runs} == {run.run_key: run for run in runs}
    assert export.manifest.suite == OUTLINE


def test_a_run_gives_back_its_plan_and_its_result() -> None:
    run = ExportedRun.model_validate_json(exported().content())
    assert run.planned() == planned()
    assert run.result() == result()
    stored = run.stored()
    assert [(score.target, score.correct, score.total, score.reading) for score in stored.scores] == [
        (made.BASE, 40, 80, ""),
        (made.NOVEL, 20, 80, ""),
        (made.NOVEL, 40, 80, "class feature"),
    ]
    assert stored.settings["recipe.lr"] == "0.002"
    assert stored.settings["provenance.targets.dtd/base"] == "abc"


def test_a_loss_that_was_no_number_is_null() -> None:
    run = exported(out=result(curves=({"epoch": 1, "loss": math.nan},)))
    assert json.loads(run.content())["curves"] == [{"epoch": 1.0, "loss": None}]
    assert math.isnan(ExportedRun.model_validate_json(run.content()).result().curves[0]["loss"])


def test_the_same_runs_give_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    runs = [exported(seed=seed) for seed in (1, 2, 3)]
    first, second = write(tmp_path / "a", *runs), write(tmp_path / "b", *reversed(runs))
    for path in first.rglob("*.json"):
        assert path.read_bytes() == (second / path.relative_to(first)).read_bytes()


def test_the_published_schema_is_that_of_the_files() -> None:
    schema = Path(exports.__file__).with_name("run.schema.json").read_text()
    assert schema == run_schema()
    validator = jsonschema.Draft202012Validator(json.loads(schema))
    document = json.loads(exported().content())
    validator.validate(document)
    for wrong in ({"surprise": 1}, {"run_key": "../x"}, {"schema_version": 2}, {"scores": [{"correct": [-1]}]}):
        assert list(validator.iter_errors(document | wrong)), wrong


def test_the_digest_is_what_the_docs_say_it_is() -> None:
    import hashlib

    document = json.loads(exported().content())
    named = document.pop("digest")
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(text.encode()).hexdigest() == named


@pytest.mark.parametrize(
    ("field", "value"), [("backbone", "other"), ("duplicates", 1), ("recipe", {}), ("scores", []), ("surprise", 1)]
)
def test_a_changed_file_is_refused_by_name(tmp_path: Path, field: str, value: Any) -> None:
    run = exported()
    rewritten(path_of(write(tmp_path, run), run), reseal=False, **{field: value})
    assert f"{run.run_key}.json was changed" in refusal(tmp_path)


@pytest.mark.parametrize("size", [0, 1, 700])
def test_a_truncated_file_is_refused_by_name(tmp_path: Path, size: int) -> None:
    run = exported()
    path = path_of(write(tmp_path, run), run)
    path.write_bytes(path.read_bytes()[:size])
    assert f"{run.run_key}.json is not whole" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"surprise": 1}, "unknown field 'surprise'"),
        ({"run_id": 3}, "field 'run_id' is 3"),
        ({"run_key": "../../x"}, "field 'run_key'"),
        ({"miniature": "true"}, "field 'miniature'"),
        ({"finished_at": "2026-01-01T00:00:00"}, "field 'finished_at'"),
        ({"suite": "../etc"}, "field 'suite'"),
        ({"cost": {**json.loads(exported().content())["cost"], "train_seconds": -1}}, "train_seconds"),
    ],
)
def test_a_file_of_another_form_is_refused_even_with_a_fitting_digest(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    run = exported()
    path = path_of(write(tmp_path, run), run)
    rewritten(path, reseal=True, **changes)
    text = refusal(tmp_path)
    assert words in text
    assert str(path) in text


@pytest.mark.parametrize(
    ("correct", "total", "words"),
    [([81], [80], "more right answers"), ([0], [0], "no images"), ([1, 1], [80], "2 classes right but 1 seen")],
)
def test_impossible_counts_are_refused(tmp_path: Path, correct: list[int], total: list[int], words: str) -> None:
    run = exported()
    path = path_of(write(tmp_path, run), run)
    target = {"dataset": "dtd", "subset": "novel"}
    scores = [{"target": target, "reading": "", "correct": correct, "total": total}]
    rewritten(path, reseal=True, scores=scores)
    assert words in refusal(tmp_path)


def test_not_a_number_is_refused(tmp_path: Path) -> None:
    run = exported()
    path = path_of(write(tmp_path, run), run)
    cost = json.loads(path.read_text())["cost"] | {"train_seconds": math.nan}
    rewritten(path, reseal=True, cost=cost)
    assert "train_seconds" in refusal(tmp_path)


def test_a_run_that_a_resealed_file_replaced_is_refused(tmp_path: Path) -> None:
    run = exported()
    rewritten(path_of(write(tmp_path, run), run), reseal=True, duplicates=1)
    assert f"{run.run_key}.json is not the file that manifest.json lists" in refusal(tmp_path)


def test_a_newer_schema_is_refused_with_what_to_do(tmp_path: Path) -> None:
    run = exported()
    path = path_of(write(tmp_path, run), run)
    rewritten(path, reseal=True, schema_version=2, of_tomorrow="?")
    text = refusal(tmp_path)
    assert all(words in text for words in (str(path), "schema version 2", "upgrade promptarena"))
    rewritten(tmp_path / MANIFEST, reseal=True, schema_version=2)
    assert MANIFEST in refusal(tmp_path)


def test_missing_and_unlisted_files_are_refused(tmp_path: Path) -> None:
    one, two = exported(), exported(seed=2)
    path_of(write(tmp_path / "a", one, two), one).unlink()
    assert f"cannot read {path_of(tmp_path / 'a', one)}" in refusal(tmp_path / "a")
    write_run(write(tmp_path / "b", one), two)
    assert f"{path_of(tmp_path / 'b', two)} is not listed" in refusal(tmp_path / "b")
    assert "holds no manifest.json" in refusal(tmp_path / "nowhere")
    path_of(write(tmp_path / "c", one), one).rename(path_of(tmp_path / "c", two))
    assert "is not listed" in refusal(tmp_path / "c")


def test_a_run_under_another_run_s_name_is_refused(tmp_path: Path) -> None:
    one, two = exported(), exported(seed=2)
    write(tmp_path, one, two)
    path_of(tmp_path, one).write_bytes(path_of(tmp_path, two).read_bytes())
    assert "its name must be the run's key" in refusal(tmp_path)


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    run = exported()
    path = path_of(write(tmp_path / "a", run), run)
    path.rename(tmp_path / "elsewhere.json")
    path.symlink_to(tmp_path / "elsewhere.json")
    assert "leads out of" in refusal(tmp_path / "a")


@pytest.mark.parametrize("name", ["../../../x", "learned.pt", "/etc/passwd"])
def test_a_manifest_names_no_other_files(tmp_path: Path, name: str) -> None:
    run = exported()
    write(tmp_path, run)
    rewritten(tmp_path / MANIFEST, reseal=True, files={run.run_key: {name: "0" * 64}})
    assert "field 'files" in refusal(tmp_path)


def test_damaged_tensors_are_refused(tmp_path: Path) -> None:
    run = exported()
    (tmp_path / "learned.safetensors").write_bytes(b"tensors")
    write_run(tmp_path / "out", run)
    write_file(tmp_path / "out", run.run_key, tmp_path / "learned.safetensors")
    write_manifest(tmp_path / "out", OUTLINE)
    export = read_export(tmp_path / "out")
    path = export.files(run.run_key)["learned.safetensors"]
    assert path.read_bytes() == b"tensors"
    path.write_bytes(b"other tensors")
    assert str(path) in refusal(tmp_path / "out")


def test_a_full_disk_is_named_and_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UserError, match="No space left on device"):
        write_run(tmp_path, exported())
    assert not list((tmp_path / "runs").iterdir())


def export_of(folder: str, *runs: ExportedRun) -> Export:
    keys = {run.run_key: run.digest for run in runs}
    return Export(Path(folder), exports.Manifest.checksummed(suite=OUTLINE, count=len(keys), runs=keys, files={}), runs)


def test_exports_merge_into_the_newest_run_of_every_key() -> None:
    laptop, cluster = exported(run_id="l", days=1), exported(run_id="c", days=2, duplicates=1)
    other = exported(seed=2)
    both = merged([export_of("laptop", laptop, other), export_of("cluster", cluster), export_of("again", laptop)])
    assert {(run.run_id, run.duplicates) for run in both} == {("c", 2), (other.run_id, 0)}
    assert merged([export_of("cluster", cluster), export_of("laptop", laptop, other)]) == both


def test_one_run_with_two_contents_is_refused() -> None:
    changed = exported(run_id="r", out=result((Score(Target("dtd", "base"), (31, 10), (40, 40)), *made.SCORES[1:])))
    with pytest.raises(UserError, match="differs between one and two"):
        merged([export_of("one", exported(run_id="r")), export_of("two", changed)])


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A record with three runs, and the folder of another one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        ours = tmp_path_factory.mktemp("ours")
        record = Record.open(RecordPlace(ours))
        comparison = record.comparison("small", "k", "a comparison")
        learned = ours / "learned.safetensors"
        learned.write_bytes(b"tensors")
        for seed in (1, 2, 3):
            plan = planned(seed=seed)
            parents = ParentRuns(comparison, record.method_run(comparison, plan.spec.name))
            run_id = record.begin(plan, parents, "mini-clip", miniature=True)
            record.finish(run_id, result(files={learned.name: learned}))
    return ours, tmp_path_factory.mktemp("theirs")


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A suite named small over a dataset dtd, none of whose files exist."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "dtd.toml").write_text(
        'name = "dtd"\ntitle = "Textures"\nreader = "folder"\ntemplate = "a {}."\nlicence = ""\ncitation = ""\n'
        'description = ""\n[options]\nfolder = "x"\n'.replace('""', '"none"')
    )
    path = tmp_path / "small.toml"
    path.write_text(
        'name = "small"\ntitle = "Small"\nminiature = true\ndatasets = ["dtd"]\n'
        '[backbone]\nconfig = "c.json"\nweights = "w.safetensors"\n'
    )
    return path


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
    assert method.data.metrics["base-to-novel/base_pct"] == 50.0


def test_an_interrupted_import_goes_on(
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


def test_a_replaced_run_takes_its_files_with_it(tmp_path: Path) -> None:
    (tmp_path / "learned.safetensors").write_bytes(b"tensors")
    write_file(tmp_path / "out", exported().run_key, tmp_path / "learned.safetensors")
    assert read_export(write(tmp_path / "out", exported(days=1))).manifest.files == {}


def test_another_suite_s_export_is_not_mixed_in(records: tuple[Path, Path], suite: Path, tmp_path: Path) -> None:
    write_manifest(tmp_path / "out", OUTLINE.model_copy(update={"name": "other"}))
    with pytest.raises(UserError, match="suite other"):
        export_record(str(suite), tmp_path / "out", RecordPlace(records[0]))


def test_an_empty_record_has_nothing_to_export(suite: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no record in"):
        export_record(str(suite), tmp_path / "out", RecordPlace(tmp_path / "results"))
    assert not (tmp_path / "results").exists()


def test_a_suite_of_none_of_the_exports_is_named(tmp_path: Path) -> None:
    export = write(tmp_path, exported())
    for name, words in (("mini", "no export is of suite mini"), ("smal", "did you mean small")):
        with pytest.raises(UserError, match=words):
            leaderboard_of_exports(LeaderboardRequest(name, format="md"), [export])


def test_exports_without_runs_of_a_protocol_have_nothing_to_show(tmp_path: Path) -> None:
    export = write(tmp_path, exported())
    with pytest.raises(UserError, match="nothing is exported for suite small under few-shot"):
        leaderboard_of_exports(LeaderboardRequest("small", protocols=("few-shot",)), [export])


def test_tables_from_an_export_need_neither_torch_nor_mlflow(tmp_path: Path) -> None:
    export = write(tmp_path, *(exported(seed=seed) for seed in (1, 2)))
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from promptarena.benchmark.cli.commands.leaderboard import LeaderboardRequest, leaderboard_of_exports\n"
        "leaderboard_of_exports(LeaderboardRequest('small', format='csv'), [Path(sys.argv[1])])\n"
    )
    printed = run_without_heavy_packages(code, export, cwd=tmp_path)
    assert "dtd" in printed
    assert "50.0" in printed
