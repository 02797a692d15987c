"""How many runs go at the same time, and where an unfinished training lies."""

from pathlib import Path

import pytest
import torch
from record_runs import plan

from promptarena.benchmark.running.execution import default_workers, training_folder


def test_a_gpu_has_one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert default_workers() == 1
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert default_workers() >= 1


def test_runs_that_share_a_training_share_its_folder(tmp_path: Path) -> None:
    run = plan("small")
    assert training_folder(tmp_path, run) == tmp_path / "checkpoints" / run.train_key
