"""What another machine gets by value, and what it says when something differs there."""

import os
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from e2e_world import make_world

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.runs import PlannedRun
from promptarena.benchmark.planning.request import Request
from promptarena.benchmark.recording.record import Record, RecordPlace
from promptarena.benchmark.running.clusters.parcel import Parcel, Scratch, check_here, training_files
from promptarena.benchmark.running.comparison import plan_comparison
from promptarena.benchmark.running.execution import CHECKPOINT, ExecutionConfig, training_folder
from promptarena.benchmark.running.kept_learners import LEARNER_FILE, TRAINING_FILE

PLUGIN = """
from pathlib import Path

from pydantic import Field

from promptarena.benchmark.plugins.learner import Config
from promptarena.methods.zeroshot import ZeroShot


class Settings(Config):
    table: str = Field("", description="a file")


class Mine(ZeroShot):
    config_type = Settings

    @classmethod
    def preset(cls, task):
        return Settings(table=TABLE), ZeroShot.preset(task)[1]

    @classmethod
    def reads(cls, config, backbone_digest):
        return {"table": Path(config.table)}
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ExecutionConfig:
    (tmp_path / "table.txt").write_text("roles")
    table = str(tmp_path / "table.txt")
    (tmp_path / "mine.py").write_text(PLUGIN.replace("TABLE", repr(table)))
    suite = make_world(tmp_path / "world")
    monkeypatch.chdir(tmp_path)  # restored, although unpacking changes it
    return ExecutionConfig(str(suite), tmp_path / "results", tmp_path / "cache", plugins=(tmp_path / "mine.py",))


def runs_of(place: ExecutionConfig) -> tuple[PlannedRun, ...]:
    request = Request(methods=("mine",), protocols=("base-to-novel",))
    return plan_comparison(request, place, Record.open(RecordPlace(place.results))).runs


def test_suite_plugins_and_tables_travel_and_data_is_asked_for(place: ExecutionConfig, tmp_path: Path) -> None:
    runs = runs_of(place)
    sent = pickle.dumps(Parcel.pack(place, runs))
    for gone in (place.plugins[0], tmp_path / "table.txt", Path(place.suite)):
        gone.unlink()
    (there := tmp_path / "there").mkdir()
    execution = pickle.loads(sent).unpack(there)
    assert Path(os.getcwd()) == there
    assert (tmp_path / "table.txt").read_text() == "roles"
    assert execution.results == there
    check_here(execution, runs)
    shutil.rmtree(tmp_path / "world" / "pictures" / "noisy")
    with pytest.raises(UserError, match=r"worker machine .* does not see the data of noisy: .*pictures/noisy"):
        check_here(execution, runs)


def test_other_versions_code_and_tables_are_named(place: ExecutionConfig, tmp_path: Path) -> None:
    runs = runs_of(place)
    parcel = Parcel.pack(place, runs)
    for name in parcel.versions:
        with pytest.raises(UserError, match=f"has {name} .*, the command 0.0; install the same"):
            replace(parcel, versions=dict(parcel.versions) | {name: "0.0"}).unpack(tmp_path / "there")
    (tmp_path / "table.txt").write_text("others")
    with pytest.raises(UserError, match=r"has another file .*table.txt"):
        parcel.unpack(tmp_path / "there")
    (tmp_path / "table.txt").write_text("roles")
    changed = replace(parcel, plugins={name: code + b"\nX = 1\n" for name, code in parcel.plugins.items()})
    with pytest.raises(UserError, match="other code of method mine"):
        check_here(changed.unpack(tmp_path / "there"), runs)


def test_a_checkpoint_is_handed_in_once(place: ExecutionConfig, tmp_path: Path) -> None:
    (run,) = runs_of(place)
    scratch = Scratch(tmp_path / "scratch")
    assert scratch.changed(run) is None
    scratch.put(run, {CHECKPOINT: b"first"})
    assert scratch.changed(run) is None
    scratch.put(run, {CHECKPOINT: b"second"})
    path = next((tmp_path / "scratch").rglob("checkpoint.safetensors"))
    path.unlink()
    path.write_bytes(b"third")
    assert scratch.changed(run) == b"third"
    assert scratch.changed(run) is None
    scratch.clear()
    assert scratch.changed(run) is None


@pytest.mark.parametrize("names", [(), (CHECKPOINT,), (LEARNER_FILE, TRAINING_FILE)])
def test_what_a_training_goes_on_from_is_the_same_there(
    names: tuple[str, ...], place: ExecutionConfig, tmp_path: Path
) -> None:
    (run,) = runs_of(place)
    folder = training_folder(place.results, run)
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(name.encode())
    files = training_files(place.results, run)
    assert set(files) == set(names)
    scratch = Scratch(tmp_path / "scratch")
    scratch.put(run, files)
    assert training_files(tmp_path / "scratch", run) == files
    assert scratch.changed(run) is None
