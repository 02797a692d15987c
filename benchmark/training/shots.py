"""The images that a learner is trained on, and their batches."""

from dataclasses import dataclass

import numpy as np
import torch

from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.keys import generator
from promptarena.benchmark.core.recipe import Recipe
from promptarena.benchmark.data.data_manager import Examples
from promptarena.benchmark.inputs.array_cache import ArrayCache
from promptarena.benchmark.inputs.views import Augmentation, View
from promptarena.benchmark.plugins.learner import Images, Learner


@dataclass(frozen=True)
class Task:
    """What is learned: classes, training and validation examples, and the seed that keys every draw."""

    classes: Classes
    train: Examples
    val: Examples
    seed: int


def batches(count: int, recipe: Recipe, seed: int, epoch: int) -> list[np.ndarray]:
    """The rows of each of the recipe's steps of an epoch: a permutation of 0 .. count - 1 keyed by (seed, epoch), its
    remainder dropped."""
    order = generator("batches", seed, epoch).permutation(count)
    size = recipe.batch_size
    return [order[step * size : (step + 1) * size] for step in range(recipe.steps(count))]


class Drawn:
    """The images of a training under any transform: the `Shots` of a learner, and the views of the loop."""

    def __init__(self, learner: Learner, recipe: Recipe, task: Task, cache: ArrayCache) -> None:
        self._backbone = learner.backbone
        self._recipe = recipe
        self._task = task
        self._cache = cache
        self.train_labels = torch.from_numpy(task.train.labels).to(learner.backbone.device)
        self.val_labels = torch.from_numpy(task.val.labels).to(learner.backbone.device)

    def view(self, epoch: int) -> View:
        """The training images as epoch 1, 2, ... shows them."""
        random = Augmentation(self._task.seed, epoch, self._recipe.crop_scale) if self._recipe.augment else None
        return View(self._task.train.images, self._backbone, self._cache, random)

    @property
    def train(self) -> Images:
        """All training images under the test transform."""
        return _whole(View(self._task.train.images, self._backbone, self._cache))

    @property
    def val(self) -> Images:
        """All validation images under the test transform."""
        return _whole(View(self._task.val.images, self._backbone, self._cache))

    def augmented(self, index: int) -> Images:
        """All training images as an epoch shows them."""
        return _whole(self.view(index))


def _whole(view: View) -> Images:
    return view.batch(range(len(view)))
