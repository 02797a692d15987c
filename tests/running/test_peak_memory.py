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
