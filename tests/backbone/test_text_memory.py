"""The memory that class prompts may hold is the device's, not a constant."""

from types import SimpleNamespace

import pytest
import torch

from promptarena.benchmark.backbone.text_memory import TEXT_MEMORY_MIB, TEXT_SHARE, text_memory


def test_the_cpu_has_a_constant_limit() -> None:
    """It decides last bits, so it must not depend on the machine."""
    assert text_memory(torch.device("cpu")) == TEXT_MEMORY_MIB << 20


@pytest.mark.parametrize("gib", [8, 80, 141])
def test_a_gpu_has_a_share_of_its_memory(gib: int, monkeypatch: pytest.MonkeyPatch) -> None:
    properties = SimpleNamespace(total_memory=gib << 30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    assert text_memory(torch.device("cuda", 1)) == int(TEXT_SHARE * (gib << 30))
