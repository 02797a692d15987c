"""Exported runs: sealed, verified before use, the same bytes every time, and whole again in another record."""

import os
from pathlib import Path

import exported as made
import pytest
from export_folders import path_of, refusal, rewritten, write
from exported import OUTLINE, exported, result

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.runs import Score, Target
from promptarena.benchmark.recording.exports import folder as exports
from promptarena.benchmark.recording.exports.exported_run import ExportedRun
from promptarena.benchmark.recording.exports.folder import (
    MANIFEST,
    Export,
    merged,
    read_export,
    write_file,
    write_run,
)


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    hole = result(made.SCORES[:1], unscored={made.NOVEL: "no novel classes"})
    runs = (exported(), exported("zeroshot", None), exported("linear-probe", 2, out=hole))
    export = read_export(write(tmp_path, *runs))
    assert {run.run_key: run for run in export.runs} == {run.run_key: run for run in runs}
    assert export.manifest.suite == OUTLINE


def test_the_same_runs_give_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    runs = [exported(seed=seed) for seed in (1, 2, 3)]
    first, second = write(tmp_path / "a", *runs), write(tmp_path / "b", *reversed(runs))
    for path in first.rglob("*.json"):
        assert path.read_bytes() == (second / path.relative_to(first)).read_bytes()


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


def test_a_replaced_run_takes_its_files_with_it(tmp_path: Path) -> None:
    (tmp_path / "learned.safetensors").write_bytes(b"tensors")
    write_file(tmp_path / "out", exported().run_key, "learned.safetensors", tmp_path / "learned.safetensors")
    assert read_export(write(tmp_path / "out", exported(days=1))).manifest.files == {}
