"""The check of the GPU path, without a GPU: skipped stages, and all of it on a stand-in."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tools.gpu import __main__ as check
from tools.gpu import surroundings
from tools.gpu.stage import NOT_MEASURED, Setting, Stage, carried_out

ROOT = Path(__file__).parents[3]
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


@pytest.mark.parametrize("name", ["environment", "golden", "host syncs", "encoding", "decoding"])
def test_a_stage_is_measured_on_a_stand_in(
    name: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, found = checked(tmp_path, model, monkeypatch, "--device", "cpu", "--quick", "--only", name)
    (kind,) = (stage for stage in check.stages() if stage.name == name)
    assert code == 0, found
    assert None not in cells(found[name], kind)


def test_steps_are_measured_until_the_time_is_over(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, found = checked(
        tmp_path, model, monkeypatch, "--device", "cpu", "--quick", "--only", "steps", "--minutes", "0.03"
    )
    assert code == 0
    measured = [row for row in found["steps"]["rows"] if row["ms"] is not None]
    assert 0 < len(measured) < len(found["steps"]["rows"])
    assert all(float(row["ms"]) > 0 for row in measured)


@pytest.mark.slow
def test_a_comparison_is_killed_and_resumed(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings, "KILLED_AFTER", 6.0)
    code, found = checked(tmp_path, model, monkeypatch, "--device", "cpu", "--quick", "--only", "comparison")
    assert code == 0, found
    assert found["comparison"]["rows"][-1]["done"] == "2 of 2 runs"


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
