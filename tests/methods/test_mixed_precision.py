"""Every method trains and scores in bf16 and fp16 as in fp32, up to the rounding of its encoders.

The CPU's autocast computes matrix products in the types that a GPU's would.
"""

from functools import lru_cache
from typing import Any

import pytest
import tiny
import torch
from torch import Tensor

from promptarena.benchmark.backbone.clip import Precision
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.inputs.pixel_batch import PixelBatch
from promptarena.benchmark.plugins.learner import Learner
from promptarena.benchmark.plugins.registry import load_registry

CLASSES = Classes(("red fox", "zebra", "great barn owl", "ox"), "art of the {}.", "zoo")
LABELS = torch.tensor([0, 3, 2, 1, 1])
MODEL = tiny.model(tiny.config(layers=12) | {"embed_dim": 64})
PIXELS = tiny.pixels(5)
REGISTRY = load_registry(())
SETTINGS: dict[str, dict[str, Any]] = {"dear": {"mask": "none"}}
FARTHEST = {"bf16": 0.2, "fp16": 0.025}
"""How far logits may be from those of fp32, relative to their spread over the classes and images."""


def readings(name: str, precision: Precision) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    """The readings of a new learner, its losses in one step, and the gradients of that step."""
    kind = REGISTRY.get(name).learner
    config, recipe = kind.preset(tiny.training_task())
    config = config.model_validate(config.model_dump() | SETTINGS.get(name, {}))
    backbone = tiny.wrapped(MODEL, precision)
    learner: Learner = kind(backbone, config, CLASSES, torch.Generator().manual_seed(1))
    images = PixelBatch(PIXELS, backbone)
    losses, gradients = {}, {}
    with backbone.autocast():
        learner.fit(tiny.Shots(images, LABELS, images, LABELS))
        if recipe.epochs:
            learner.begin_stage(1)
            learner.begin_epoch(1, torch.Generator().manual_seed(1))
            _, losses = learner.training_step(images, LABELS, learner.training_prompts(CLASSES))
    if recipe.epochs:
        learner.backward(losses)
        gradients = {key: value.grad for key, value in learner.named_parameters() if value.grad is not None}
    learner.eval()
    with torch.inference_mode(), backbone.autocast():
        found = learner.readings(images, learner.classifier(learner.prompts(CLASSES)))
    return dict(found), {key: value.detach() for key, value in losses.items()}, gradients


@lru_cache(maxsize=2)
def in_fp32(name: str) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    return readings(name, "fp32")


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("name", sorted(REGISTRY.methods))
def test_it_trains_and_scores_as_in_fp32(name: str, precision: Precision) -> None:
    exact, exact_losses, exact_gradients = in_fp32(name)
    found, losses, gradients = readings(name, precision)
    assert found.keys() == exact.keys()
    for reading, logits in found.items():
        assert logits.dtype == torch.float32, "rounded logits have several largest ones"
        off = (logits - exact[reading]).abs().max() / exact[reading].std()
        assert off < FARTHEST[precision], (reading, float(off))
    assert losses.keys() == exact_losses.keys()
    for term, value in losses.items():
        assert torch.isfinite(value), term
        torch.testing.assert_close(value.float(), exact_losses[term].float(), rtol=0.1, atol=0.05)
    assert gradients.keys() == exact_gradients.keys()
    for parameter, gradient in gradients.items():
        assert torch.isfinite(gradient).all(), parameter
        assert bool(gradient.any()) == bool(exact_gradients[parameter].any()), parameter
