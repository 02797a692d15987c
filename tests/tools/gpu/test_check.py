"""The check of the GPU path, without a GPU: skipped stages, and all of it on a stand-in."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from e2e_command import start_forked, wait_until
from forked import Command
from tape import Tape

from tools.gpu import __main__ as check
from tools.gpu import golden, steps, surroundings
from tools.gpu.stage import NOT_MEASURED, Setting, Stage, TimeIsUp, carried_out, cut_off
from tools.speed.world import World

ROOT = Path(__file__).parents[3]
START = [sys.executable, "-m", "promptarena.benchmark.cli.main"]
TINY = {
    "embed_dim": 32,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "layers": 12, "width": 48, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 12},
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny.json"
    path.write_text(json.dumps(TINY))
    return path


def checked(folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, dict[str, Any]]:
    """The exit code and the tables, by stage."""
    out = folder / "out"
    threads = torch.get_num_threads()
    monkeypatch.setattr(sys, "argv", ["gpu", "--model", str(model), "--out", str(out), *arguments])
    try:
        code = check.main()
    finally:
        torch.set_num_threads(threads)
    return code, {stage["stage"]: stage for stage in json.loads((out / "check.json").read_text())["stages"]}


def cells(stage: dict[str, Any], kind: Stage) -> list[str | None]:
    return [row[header] for row in stage["rows"] for header in kind.headers]


def test_the_script_skips_every_stage_without_a_device(model: Path, tmp_path: Path) -> None:
    ended = subprocess.run(
        ["bash", ROOT / "tools" / "gpu" / "check.sh", "--model", model, "--out", tmp_path],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "", "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    names = [stage.name for stage in check.stages()]
    assert ended.stdout.splitlines() == [f"{name}: no CUDA device: skipped" for name in names]
    found = json.loads((tmp_path / "check.json").read_text())["stages"]
    assert [stage["stage"] for stage in found] == names
    for stage, kind in zip(found, check.stages(), strict=True):
        assert len(stage["rows"]) == len(kind.rows) > 0
        assert set(cells(stage, kind)) == {None}
    text = (tmp_path / "check.md").read_text()
    assert text.count(NOT_MEASURED) == sum(len(kind.rows) * len(kind.headers) for kind in check.stages())


@pytest.mark.parametrize("name", ["environment", "golden", "host syncs", "graphs", "encoding", "decoding"])
def test_a_stage_is_measured_on_a_stand_in(
    name: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(golden, "FARTHEST", {"fp32": golden.FARTHEST["fp32"]})
    code, found = checked(tmp_path, model, monkeypatch, "--device", "cpu", "--quick", "--only", name)
    (kind,) = (stage for stage in check.stages() if stage.name == name)
    assert code == 0, found
    assert None not in cells(found[name], kind)


def test_a_golden_case_is_measured_in_every_precision(model: Path, tmp_path: Path) -> None:
    (kind,) = (stage for stage in check.stages() if stage.name == "golden")
    setting = Setting(torch.device("cpu"), World(model), float("inf"), True, tmp_path)
    outcome = carried_out(replace(kind, rows=kind.rows[:1]), setting, lambda _: None)
    assert not outcome.failed
    assert len([float(cell) for cell in outcome.cells[0]]) == len(golden.FARTHEST)


def test_nothing_is_measured_after_the_time(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, found = checked(tmp_path, model, monkeypatch, "--device", "cpu", "--only", "steps", "--minutes", "0")
    (kind,) = (stage for stage in check.stages() if stage.name == "steps")
    assert code == 0
    assert set(cells(found["steps"], kind)) == {None}


@pytest.mark.slow
def test_a_comparison_is_killed_and_resumed(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its processes are forked, where nothing is imported again, and the first is killed when it has begun a run."""
    asked: list[float] = []

    def begin(command: Sequence[str], folder: Path) -> Command:
        assert command[: len(START)] == START
        return start_forked(*command[len(START) :], cwd=folder, PROMPTARENA_CACHE=str(folder / "cache"))

    def run_forked(command: Sequence[str], folder: Path, longest: float) -> int | None:
        asked.append(longest)
        begun = begin(command, folder)
        if longest == surroundings.KILLED_AFTER:
            wait_until(lambda: bool(list(folder.rglob("*.npy"))) or not begun.alive())
            return None if begun.kill() else begun.wait().code
        return begun.wait().code

    def plan_forked(command: Sequence[str], cwd: Path, **_: object) -> SimpleNamespace:
        return SimpleNamespace(stdout=begin(command, cwd).wait().out)

    monkeypatch.setattr(surroundings, "_run", run_forked)
    monkeypatch.setattr(surroundings, "subprocess", SimpleNamespace(run=plan_forked))
    code, found = checked(tmp_path, model, monkeypatch, "--device", "cpu", "--quick", "--only", "comparison")
    assert code == 0, found
    assert asked == [surroundings.KILLED_AFTER, surroundings.LONGEST]
    killed, resumed = (row["done"] for row in found["comparison"]["rows"])
    assert killed in ("0 of 2 runs", "1 of 2 runs")
    assert resumed == "2 of 2 runs"


def test_the_comparisons_command_is_one_and_is_killed_when_it_takes_too_long(tmp_path: Path) -> None:
    world: Any = None
    setting = Setting(torch.device("cpu"), world, float("inf"), True, tmp_path)
    assert surroundings.compare_command(setting)[: len(START)] == START
    assert surroundings._run([*START, "--version"], tmp_path, 60) == 0
    assert surroundings._run([*START, "no-such-command"], tmp_path, 60) == 2
    assert surroundings._run(["sleep", "30"], tmp_path, 0.1) is None


def test_a_row_that_raises_fails_and_the_others_are_measured(tmp_path: Path) -> None:
    def measure(setting: Setting, row: tuple[str, ...]) -> tuple[str, ...]:
        if row == ("b",):
            raise torch.OutOfMemoryError("CUDA out of memory\nSee elsewhere")
        return "1", "2"

    stage = Stage("toy", "Toy", ("row",), ("x", "y"), [("a",), ("b",), ("c",)], measure, "")
    world: Any = None
    outcome = carried_out(stage, Setting(torch.device("cpu"), world, float("inf"), True, tmp_path), lambda _: None)
    assert outcome.failed
    assert outcome.cells == [("1", "2"), ("failed: OutOfMemoryError: CUDA out of memory", NOT_MEASURED), ("1", "2")]
    late = carried_out(stage, Setting(torch.device("cpu"), world, -1.0, True, tmp_path), lambda _: None)
    assert not late.failed
    assert set(late.cells) == {(NOT_MEASURED, NOT_MEASURED)}


def test_a_row_is_cut_off_when_the_time_is_over(tmp_path: Path) -> None:
    def measure(setting: Setting, row: tuple[str, ...]) -> tuple[str, ...]:
        try:
            time.sleep(20 if row == ("b",) else 0)
        except Exception as error:
            raise AssertionError("what catches errors must not go on") from error
        return ("1",)

    stage = Stage("toy", "Toy", ("row",), ("x",), [("a",), ("b",), ("c",)], measure, "")
    world: Any = None
    started, handler = time.monotonic(), signal.getsignal(signal.SIGALRM)
    setting = Setting(torch.device("cpu"), world, started + 1.0, True, tmp_path)
    outcome = carried_out(stage, setting, lambda _: None)
    assert time.monotonic() - started < 10
    assert outcome.cells == [("1",), (NOT_MEASURED,), (NOT_MEASURED,)]
    assert not outcome.failed
    assert signal.getsignal(signal.SIGALRM) is handler


@pytest.mark.parametrize("name", ["graphs", "steps"])
def test_replayed_steps_are_measured_on_a_stand_in(
    name: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (kind,) = (stage for stage in check.stages() if stage.name == name)
    monkeypatch.setattr(steps, "recorder", lambda device: Tape())
    world = World(model)
    setting = Setting(torch.device("cpu"), world, float("inf"), True, tmp_path)
    few = replace(kind, rows=[row for row in kind.rows if row[0] == "maple"][:1])
    outcome = carried_out(few, setting, lambda _: None)
    assert not outcome.failed
    found = dict(zip(few.headers, outcome.cells[0], strict=True))
    if name == "graphs":
        assert found["replayed"] == "yes"
        assert float(found["distance"]) == 0
    else:
        assert all(float(found[header]) > 0 for header in ("ms", "graphs ms", "3 seeds, graphs ms"))


def test_a_comparison_ends_with_its_processes_when_the_time_is_over(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(TimeIsUp), cut_off(started + 1):
        surroundings._run(["sleep", "30"], tmp_path, 30)
    assert time.monotonic() - started < 10
