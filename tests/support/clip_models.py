"""Towers of a tiny CLIP, and when tensors count as equal."""

import tiny
import torch
from torch import Tensor

from promptarena.benchmark.backbone.towers import Tower

BLOCKS = range(4)


def close(actual: Tensor, expected: Tensor, relative: float = 1e-5) -> bool:
    return bool((actual - expected).abs().max() <= relative * expected.abs().max())


def towers() -> list[tuple[Tower, Tensor]]:
    """Both towers of the tiny model, each with tokens to run."""
    backbone = tiny.backbone()
    tokens = torch.randn(2, 7, backbone.vision.width, generator=torch.Generator().manual_seed(1))
    texts = torch.randn(2, 7, backbone.text.width, generator=torch.Generator().manual_seed(2))
    return [(backbone.vision, tokens), (backbone.text, texts)]
