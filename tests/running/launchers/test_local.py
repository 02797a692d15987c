"""The launcher of this machine takes the devices that were requested."""

from pathlib import Path

import pytest

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.running import devices
from promptarena.benchmark.running.devices import CPU
from promptarena.benchmark.running.execution import ExecutionConfig
from promptarena.benchmark.running.launchers.local import LAUNCHER
from promptarena.benchmark.running.launchers.registry import Workers
from promptarena.benchmark.running.local_pool import LocalPool


def pool(workers: Workers, device: str = "auto") -> LocalPool:
    made = LAUNCHER.make(ExecutionConfig("mini", Path("r"), Path("c"), device=device), workers, LAUNCHER.options())
    assert isinstance(made, LocalPool)
    return made


def test_every_gpu_or_those_that_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "visible_gpus", lambda: ("4", "5", "6"))
    assert [each.visible for each in pool(Workers()).devices] == ["4", "5", "6"]
    assert [each.visible for each in pool(Workers(per_gpu=2)).devices] == ["4", "5", "6"] * 2
    assert [each.visible for each in pool(Workers(devices=("cuda:2", "cuda:0"))).devices] == ["6", "4"]
    assert [each.visible for each in pool(Workers(count=2)).devices] == ["4", "5"]
    assert pool(Workers(count=2), "cpu").devices == (CPU, CPU)
    with pytest.raises(UserError, match="torch sees 3 GPUs here"):
        pool(Workers(), "cuda:3")
