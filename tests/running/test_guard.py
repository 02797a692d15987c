"""Methods of one process are kept apart: known random states, and nothing shared is changed."""

import random
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from record_runs import plan

from promptarena.benchmark.backbone.seal import SharedStateChangedError
from promptarena.benchmark.running.guard import Guard


def draws(seed: int) -> tuple[float, float, float]:
    with Guard(tiny.backbone()).around(plan("small", seed=seed)):
        return float(torch.rand(())), float(np.random.rand()), random.random()


def test_global_generators_start_from_the_training_whatever_ran_before() -> None:
    first = draws(1)
    random.random()
    torch.rand(3)
    assert draws(1) == first
    assert set(draws(2)).isdisjoint(first)


def test_a_changed_backbone_removes_the_trainings_files_and_names_the_method(tmp_path: Path) -> None:
    backbone = tiny.wrapped(tiny.model())
    guard, checkpoint, planned = Guard(backbone), tmp_path / "checkpoint", plan("small")
    checkpoint.touch()

    def disturb() -> None:
        next(backbone.model.parameters()).data.add_(1)
        raise ValueError("what the method raised besides")

    with pytest.raises(SharedStateChangedError, match="coop"), guard.around(planned, [checkpoint]):
        disturb()
    assert not checkpoint.exists()


def test_errors_of_a_method_that_changed_nothing_pass(tmp_path: Path) -> None:
    checkpoint, planned = tmp_path / "checkpoint", plan("small")
    checkpoint.touch()
    with pytest.raises(ValueError, match="mine"), Guard(tiny.backbone()).around(planned, [checkpoint]):
        raise ValueError("mine")
    assert checkpoint.exists()
