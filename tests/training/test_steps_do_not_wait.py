"""A training step hands a GPU its work and waits for nothing: on a device without values, whatever reads one raises.
Nor does it copy anything from the host, which would wait too, and which a CUDA graph would not repeat."""

import copy
from contextlib import nullcontext
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
import tiny
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.backbone.loading import load_backbone
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.inputs.pixel_batch import PixelBatch
from promptarena.benchmark.planning.suites import load_suite
from promptarena.benchmark.plugins.learner import Learner
from promptarena.benchmark.plugins.registry import load_registry

CLASSES = Classes(("red fox", "zebra", "great barn owl", "ox", "snow leopard"), "art of the {}.", "zoo")
LABELS = torch.tensor([0, 4, 2])
REGISTRY = load_registry(())
VALUELESS = torch.device("meta")


DRAWING = REGISTRY.get("clip-lora").learner
"""It draws on the device, which is the host where this one cannot draw."""


class CrossingError(AssertionError):
    """A tensor was copied from the host to the device."""


class Crossings(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name in ("_to_copy", "copy_") and args[name == "copy_"].device != made.device:
            raise CrossingError(f"{func} copies from {args[name == 'copy_'].device} to {made.device}")
        return made


def moved(value: Any) -> Any:
    """Every tensor in it on the valueless device."""
    if isinstance(value, Tensor):
        return value.to(VALUELESS)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: moved(getattr(value, field.name)) for field in fields(value)})
    if isinstance(value, tuple | list):
        return type(value)(moved(each) for each in value)
    return {name: moved(each) for name, each in value.items()} if isinstance(value, dict) else value


@pytest.fixture(scope="module")
def mini() -> Backbone:
    source = load_suite("mini").backbone
    return load_backbone(source.given_architecture, source.given_weights, device="cpu")


@pytest.fixture
def backbone(mini: Backbone, monkeypatch: pytest.MonkeyPatch) -> Backbone:
    """The miniature's, to be moved; mixed precision is unknown to the valueless device."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda *_: False)
    device = torch.device("cpu")
    return Backbone(copy.deepcopy(mini.model), mini.name, mini.digest, device, "fp32", mini.mean, mini.std)


def step_without_values(learner: Learner) -> None:
    """A training step whose every tensor, made as usual, has lost its values."""
    backbone, pixels = learner.backbone, torch.randn(3, 3, 48, 48)
    drawn = PixelBatch(pixels, backbone)
    learner.fit(tiny.Shots(drawn, LABELS, drawn, LABELS))
    prompts = moved(learner.training_prompts(CLASSES))
    learner.to(VALUELESS)
    for each in (backbone, *(own for own in vars(learner).values() if isinstance(own, Backbone))):
        each.model.to(VALUELESS)
        each.device, each.scale = VALUELESS, each.scale.to(VALUELESS)
    images, labels = PixelBatch(pixels.to(VALUELESS), backbone), LABELS.to(VALUELESS)
    with torch.no_grad():
        learner.training_step(images, labels, prompts)  # what a learner keeps for later steps it may bring now
    with nullcontext() if isinstance(learner, DRAWING) else Crossings():
        _, losses = learner.training_step(images, labels, prompts)
        learner.backward(losses)


@pytest.mark.parametrize("name", sorted(REGISTRY.methods))
def test_a_training_step_reads_nothing_back(name: str, backbone: Backbone) -> None:
    learner_type = REGISTRY.get(name).learner
    config, recipe = learner_type.preset(tiny.training_task())
    if not recipe.epochs:
        pytest.skip(f"{name} takes no steps")
    step_without_values(learner_type(backbone, tiny.few_templates(config), CLASSES, torch.Generator().manual_seed(1)))


class Waiting(tiny.Linear):
    """Looks at a loss on the host."""

    def training_step(self, images: Any, labels: Tensor, prompts: Any) -> Any:
        logits, losses = super().training_step(images, labels, prompts)
        return logits * (1 if float(logits.detach().sum()) > 0 else 2), losses


def test_a_step_that_reads_a_value_is_found_out(backbone: Backbone) -> None:
    with pytest.raises(RuntimeError, match="meta"):
        step_without_values(Waiting(backbone, tiny.Linear.config_type(), CLASSES, torch.Generator().manual_seed(1)))


class Crossing(tiny.Linear):
    """Makes a tensor of numbers on the host in each step."""

    def training_step(self, images: Any, labels: Tensor, prompts: Any) -> Any:
        logits, losses = super().training_step(images, labels, prompts)
        return logits * torch.tensor([2.0]).to(logits.device), losses


def test_a_step_that_copies_from_the_host_is_found_out(backbone: Backbone) -> None:
    with pytest.raises(CrossingError):
        step_without_values(Crossing(backbone, tiny.Linear.config_type(), CLASSES, torch.Generator().manual_seed(1)))
