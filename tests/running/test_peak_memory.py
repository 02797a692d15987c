"""Peak memory: a figure of the cost, never a reason to stop."""

from pathlib import Path
from typing import Any

import pytest
import torch

from promptarena.benchmark.running import peak_memory as memory
from promptarena.benchmark.running.peak_memory import PeakMemory


def test_the_peak_covers_what_was_held() -> None:
    peak = PeakMemory(torch.device("cpu"))
    before = peak.mib()
    held = torch.ones(16 << 20)
    del held
    assert peak.mib() >= max(before, 64)


def test_a_system_that_refuses_the_reset_is_measured_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_text", refuse)
    assert PeakMemory(torch.device("cpu")).mib() > 0
    monkeypatch.setattr(memory, "_STATUS", Path("/nowhere"))
    assert PeakMemory(torch.device("cpu")).mib() > 0


def test_on_a_gpu_it_is_the_most_that_was_allocated_since_then(monkeypatch: pytest.MonkeyPatch) -> None:
    device, allocated = torch.device("cuda", 1), {"peak": 5 << 20}
    monkeypatch.setattr(
        torch.cuda, "reset_peak_memory_stats", lambda on: allocated.update(peak=0) if on == device else 1
    )
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda on: allocated["peak"] if on == device else -1)
    peak = PeakMemory(device)
    assert peak.mib() == 0
    allocated["peak"] = 3 << 20
    assert peak.mib() == 3
