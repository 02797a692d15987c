"""The images that a learner is trained on, and their batches."""

from dataclasses import dataclass

import numpy as np
import torch

from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.keys import generator
from promptarena.benchmark.core.recipe import Recipe
from promptarena.benchmark.data.data_manager import Examples
from promptarena.benchmark.inputs.array_cache import ArrayCache
from promptarena.benchmark.inputs.transforms import Augmentation
from promptarena.benchmark.inputs.views import View
from promptarena.benchmark.plugins.learner import Images, Learner


@dataclass(frozen=True)
class Task:
    """What is learned.

    Args:
        classes: The C classes.
        train: Training images with labels (N,) int64 in 0 .. C - 1.
        val: Validation images with labels (M,) int64 in 0 .. C - 1; may be empty.
        seed: It keys all randomness of the training.
    """

    classes: Classes
    train: Examples
    val: Examples
    seed: int


def batches(count: int, recipe: Recipe, seed: int, epoch: int, labels: np.ndarray | None = None) -> list[np.ndarray]:
    """The batches of an epoch.

    Args:
        count: The number of training images.
        recipe: The training recipe.
        seed: The seed of the training.
        epoch: The epoch, from 1.
        labels: (count,) int64, the class of each image; needed when every batch holds one class.

    Returns:
        For each step the rows of its images, (batch_size,) int64, from a permutation of 0 .. count - 1 that depends on
        (seed, epoch) only. The images that do not fill a batch are dropped, or form the last one when the recipe says
        so; fewer images than a batch form one batch. The last epoch of a stage in iterations has the steps that are
        left. With one class a batch, each batch is of a class drawn among those with enough images left; what does not
        fill a batch is dropped, but a class of fewer images than a batch makes one of its own.
    """
    random, size = generator("batches", seed, epoch), recipe.batch_size
    order = random.permutation(count)
    if recipe.one_class and labels is not None:
        return _one_class(order, labels[order], size, random)[: recipe.epoch_steps]
    count_of_steps = recipe.steps(count)
    if recipe.iterations:
        stage = recipe.stage(epoch, count_of_steps)
        count_of_steps = min(count_of_steps, stage.total - stage.before)
    return [order[step * size : (step + 1) * size] for step in range(count_of_steps)]


def _one_class(order: np.ndarray, labels: np.ndarray, size: int, random: np.random.Generator) -> list[np.ndarray]:
    left = {label: order[labels == label] for label in np.unique(labels).tolist()}
    steps = []
    while left:
        label = list(left)[random.integers(len(left))]
        steps.append(left[label][:size])
        left[label] = left[label][size:]
        if len(left[label]) < size:
            del left[label]
    return steps


class TrainingImages:
    """The images of a training: the `Shots` that a learner receives, and the view of each epoch for the loop."""

    def __init__(self, learner: Learner, recipe: Recipe, task: Task, cache: ArrayCache) -> None:
        self._backbone = learner.backbone
        self._recipe = recipe
        self._task = task
        self._cache = cache
        self.train_labels = torch.from_numpy(task.train.labels).to(learner.backbone.device)
        self.val_labels = torch.from_numpy(task.val.labels).to(learner.backbone.device)

    def view(self, epoch: int) -> View:
        """The training images of an epoch.

        Args:
            epoch: The epoch, from 1; it keys the augmentation.

        Returns:
            A view of all N images, augmented if the recipe says so.
        """
        recipe = self._recipe
        drawn = Augmentation(self._task.seed, epoch, recipe.crop_scale, recipe.augmentation)
        return View(self._task.train.images, self._backbone, self._cache, drawn if recipe.augment else None)

    @property
    def train(self) -> Images:
        """All training images under the test transform."""
        return _whole(View(self._task.train.images, self._backbone, self._cache))

    @property
    def val(self) -> Images:
        """All validation images under the test transform."""
        return _whole(View(self._task.val.images, self._backbone, self._cache))

    def augmented(self, index: int) -> Images:
        """All training images under the augmentation of an epoch, from 1."""
        return _whole(self.view(index))


def _whole(view: View) -> Images:
    return view.batch(range(len(view)))
