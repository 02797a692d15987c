"""Three seeds of a method as one batched computation, against one step after the other."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from promptarena.benchmark.cli.commands.terminal import console
from promptarena.benchmark.inputs.array_cache import ArrayCache
from promptarena.benchmark.inputs.views import View
from promptarena.benchmark.training.given_inputs import together
from promptarena.benchmark.training.stacked_learners import Stacked
from tools.speed.measure import Ratio, interleaved, ratio
from tools.speed.report import Report
from tools.speed.steps import difference
from tools.speed.world import ONE_TEMPLATE, STEP_BATCH, World, class_names, examples, recipe_of

SEEDS = 3

SMALL = 100
"""Models whose images have fewer pixels per side count as small."""


class _Sides:
    """The same learners, images and labels, stepped in both ways; images repeat, as in the miniature."""

    def __init__(self, world: World, method: str, classes: int, batch: int, folder: Path) -> None:
        names, settings = class_names(classes), ONE_TEMPLATE.get(method, {})
        self.learners = [world.learner(method, names, seed=seed, **settings) for seed in range(SEEDS)]
        self.prompts = self.learners[0].training_prompts(names)
        drawn = [examples(f"seed {seed}", batch, classes) for seed in range(SEEDS)]
        views = [View(each.images, world.ours, ArrayCache(folder)) for each in drawn]
        self.batches = [lambda view=view: view.batch(range(batch)) for view in views]
        self.labels = torch.stack([torch.from_numpy(each.labels) for each in drawn])
        self.stacked = Stacked(self.learners)

    def alone(self) -> list[list[Tensor]]:
        """A step of each learner by itself: losses and gradients."""
        outcomes = []
        for learner, images, labels in zip(self.learners, self.batches, self.labels, strict=True):
            learner.zero_grad()
            _, losses = learner.training_step(images(), labels, self.prompts)
            learner.backward(losses)
            gradients = [value.grad for value in learner.parameters() if value.grad is not None]
            outcomes.append([*(loss.detach() for loss in losses.values()), *gradients])
        return outcomes

    def together(self) -> list[list[Tensor]]:
        """The same as one computation."""
        for value in self.stacked.parameters.values():
            value.grad = None
        _, losses = self.stacked.training_step(
            together([images() for images in self.batches]), self.labels, self.prompts
        )
        self.stacked.backward(losses)
        gradients = [value.grad for value in self.stacked.parameters.values() if value.grad is not None]
        return [[each[seed].detach() for each in (*losses.values(), *gradients)] for seed in range(SEEDS)]


def seeds(world: World, methods: Sequence[str], classes: Sequence[int], rounds: int, report: Report) -> None:
    """Time a step of three seeds, together and one after the other, at each method and class count.

    A small model's batches are those of the recipes, as in the miniature; a large one's those of `steps`.
    """
    rows = []
    for count in classes:
        for method in methods:
            batch = recipe_of(method).batch_size if world.ours.image_size < SMALL else STEP_BATCH.get(method, 4)
            with tempfile.TemporaryDirectory() as folder:
                measured = _Sides(world, method, count, batch, Path(folder))
                off = max(map(difference, measured.together(), measured.alone()))
                timed = interleaved({"alone": measured.alone, "together": measured.together}, rounds)
            alone, together = timed["alone"], timed["together"]
            rows.append(
                [
                    method,
                    world.ours.name,
                    str(count),
                    str(batch),
                    f"{alone.seconds:.3f}",
                    f"{together.seconds:.3f}",
                    _shown(ratio(alone.wall, together.wall)),
                    _shown(ratio(alone.cpu, together.cpu)),
                    f"{alone.mib:.0f}, {together.mib:.0f}",
                    f"{off:.0e}",
                ]
            )
            console(stderr=True).print(" ".join(rows[-1]))
    report.show(
        "seeds",
        f"{SEEDS} seeds: one step after the other, and as one batched computation",
        ["method", "model", "classes", "batch", "alone s", "together s", "ratio", "CPU ratio", "MiB", "difference"],
        rows,
        f"Forward and backward of {SEEDS} learners of different seeds with images of their own; frozen parts come from "
        f"the cache. Wall-clock seconds, medians of {rounds} interleaved rounds; ratios of paired rounds, median and "
        "quartiles, above 1 where together is faster; the process's peak memory in the order of the columns. "
        "Difference: of losses and gradients, relative L2, the worst tensor.",
    )


def _shown(found: Ratio) -> str:
    return f"{found.median:.2f}x ({found.low:.2f}-{found.high:.2f})"
