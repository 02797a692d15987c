"""What a run says of how its figures came about."""

from types import SimpleNamespace
from typing import Any

import pytest
import tiny
import torch

from promptarena.benchmark.running.environment import PACKAGES, environment
from promptarena.benchmark.training.checkpoint import GraphUse


def test_it_says_how_the_learner_was_come_by() -> None:
    trained = environment(tiny.backbone(), 1, steps=12)
    scored = environment(tiny.backbone(), 1, learner_of="a run")
    assert trained["training_steps"] == "12"
    assert "learner_of" not in trained
    assert (scored["training_steps"], scored["learner_of"]) == ("0", "a run")
    assert set(PACKAGES) <= set(trained)
    assert all(isinstance(value, str) for value in trained.values())


@pytest.mark.parametrize("allowed", [False, True])
def test_on_a_gpu_it_names_the_card_and_whether_tf32_is_on(allowed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"card {device.index}")
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", allowed)
    backbone: Any = SimpleNamespace(device=torch.device("cuda", 3), name="tiny", compile_backend="inductor")
    said = environment(backbone, 1)
    assert (said["device"], said["tf32"], said["compiler"]) == ("cuda: card 3", "on" if allowed else "off", "inductor")
    assert "tf32" not in environment(tiny.backbone(), 1)


@pytest.mark.parametrize(
    ("use", "said"), [(GraphUse(3), "on"), (GraphUse(), "off"), (GraphUse(0, "it draws"), "off: it draws")]
)
def test_on_a_gpu_it_says_whether_steps_were_replayed(
    use: GraphUse, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "card")
    backbone: Any = SimpleNamespace(device=torch.device("cuda", 0), name="tiny", compile_backend="")
    assert environment(backbone, 1, steps=4, graphs=use)["cuda_graphs"] == said
    assert "cuda_graphs" not in environment(backbone, 1, learner_of="a run")
    assert "cuda_graphs" not in environment(tiny.backbone(), 1, steps=4)
