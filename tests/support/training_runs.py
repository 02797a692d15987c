"""Short trainings of tiny learners."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tiny
import torch

from promptarena.benchmark.core.recipe import Recipe
from promptarena.benchmark.plugins.learner import Learner
from promptarena.benchmark.training.checkpoint import Checkpoint
from promptarena.benchmark.training.loop import train
from promptarena.methods.coop import CoOp, CoOpConfig

RECIPE = Recipe(epochs=4, batch_size=3, lr=0.1, warmup_lr=0.05)


def run(
    learner: Learner,
    folder: Path,
    recipe: Recipe = RECIPE,
    on_epoch: Callable[[Any], None] = lambda _: None,
    key: str = "key",
) -> Checkpoint:
    return train(
        learner,
        recipe,
        tiny.task(),
        cache=tiny.cache(folder.parent),
        checkpoint=folder / "checkpoint.safetensors",
        train_key=key,
        on_epoch=on_epoch,
    )


def coop() -> CoOp:
    task = tiny.task()
    return CoOp(tiny.backbone(), CoOpConfig(ctx_init=""), task.classes, torch.Generator().manual_seed(3))


def same(one: Learner, other: Learner) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)
