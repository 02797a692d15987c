"""Where a process records training steps, and what it says where it cannot."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from record_runs import plan

from promptarena.benchmark.running import runner as module
from promptarena.benchmark.running.runner import ExecutionConfig, Runner
from promptarena.benchmark.training.checkpoint import GraphUse


def runner(device: str, folder: Path, *, cuda_graphs: bool = True) -> Runner:
    execution = replace(ExecutionConfig("mini", folder, folder / "cache"), cuda_graphs=cuda_graphs)
    made = Runner(execution)
    vars(made)["_backbone"] = SimpleNamespace(device=torch.device(device))
    return made


def test_steps_are_recorded_on_cuda_unless_it_is_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CudaGraphs", lambda device: f"graphs on {device}")
    recorder: Any = runner("cuda:1", tmp_path)._recorder()
    assert recorder == "graphs on cuda:1"
    assert runner("cuda:1", tmp_path, cuda_graphs=False)._recorder() is None
    assert runner("cpu", tmp_path)._recorder() is None


def test_why_nothing_is_recorded_is_said_once_for_each_method(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = runner("cpu", tmp_path)
    for method in ("coop", "coop", "maple"):
        trained: Any = SimpleNamespace(graphs=GraphUse(0, "it draws"))
        made._tell_of(plan("small", method=method), trained)
    made._tell_of(plan("small"), SimpleNamespace(graphs=GraphUse(7)))  # type: ignore[arg-type]
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split(":")[0] for line in lines] == ["coop", "maple"]
    assert all(line.endswith("it draws") for line in lines)
