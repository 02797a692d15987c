"""RAda on a tiny CLIP."""

from typing import Any

import tiny
import torch
from torch import Tensor

from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.inputs.views import PixelBatch
from promptarena.methods.rada import RAda, RAdaConfig

BACKBONE = tiny.wrapped(tiny.model(tiny.config() | {"embed_dim": 24}))
CLASSES = Classes(("red fox", "zebra", "great barn owl"), "art of the {}.")
IMAGES = PixelBatch(tiny.pixels(4), BACKBONE)
LABELS = torch.tensor([0, 1, 2, 1])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def plain() -> RAda:
    return RAda(BACKBONE, RAdaConfig(), CLASSES, seeded())


@torch.inference_mode()
def logits(learner: Any, images: PixelBatch = IMAGES) -> Tensor:
    return learner.logits(images, learner.classifier(learner.prompts(CLASSES)))


def close(one: Tensor, other: Tensor, relative: float = 1e-5) -> bool:
    return bool((one - other).abs().max() <= relative * other.abs().max())


def gradient_step(learner: Any, lr: float = 0.1) -> dict[str, Tensor]:
    _, losses = learner.training_step(IMAGES, LABELS, learner.training_prompts(CLASSES))
    torch.stack(list(losses.values())).sum().backward()
    torch.optim.SGD(learner.parameters(), lr=lr).step()
    return {name: parameter.grad for name, parameter in learner.named_parameters()}
