"""A tiny CLIP as a world of the contract kit."""

from functools import cache, partial
from pathlib import Path

import tiny

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.contract.kit import World, shortened
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.training.shots import Task

LR_MULTIPLIER = 20.0
"""The tiny CLIP's gradients are small; what six steps change is to be seen in the logits."""


@cache
def backbone(layers: int) -> Backbone:
    """Its embedding size divides by eight heads, and its sixteenth is more than one unit."""
    return tiny.wrapped(tiny.model(tiny.config(layers=layers) | {"embed_dim": 64}))


def world(folder: Path, layers: int = 3) -> World:
    """Twelve training images of three classes, six validation and six test images, and five novel classes."""
    base, novel = Classes(tiny.NAMES, tiny.TEMPLATE), Classes(tiny.NOVEL, tiny.TEMPLATE)

    def task(seed: int) -> Task:
        return Task(base, tiny.examples(12, 3, f"train {seed}"), tiny.examples(6, 3, f"val {seed}"), seed)

    return World(
        backbone=backbone(layers),
        task=task,
        test=tiny.examples(6, 3, "test"),
        novel=novel,
        cache=tiny.cache(folder),
        training=tiny.training_task(),
        adapt=partial(shortened, lr_multiplier=LR_MULTIPLIER),
    )
