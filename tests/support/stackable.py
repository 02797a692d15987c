"""A learner whose seeds can be trained as one."""

import tiny
import torch

from promptarena.benchmark.core.recipe import Recipe
from promptarena.benchmark.plugins.learner import Config, Learner

SEEDS = (1, 2, 5)
RECIPE = Recipe(epochs=3, batch_size=3, lr=0.1, warmup_lr=0.05)


class Stackable(tiny.Linear):
    stackable = True

    def lr_factor(self, name: str) -> float:
        return 0.5 if name == "bias" else 1.0


def linear(seed: int) -> Learner:
    return Stackable(tiny.backbone(), Config(), tiny.task().classes, torch.Generator().manual_seed(seed))
