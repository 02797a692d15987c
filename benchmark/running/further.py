"""Predictions beyond those that scores count, made on request from a trained learner: with a fitted temperature, and
for images of other datasets.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from promptarena.benchmark.core.predictions import Predictions, joined
from promptarena.benchmark.core.protocol_table import protocol_info
from promptarena.benchmark.core.runs import RunSpec, Subset, Target
from promptarena.benchmark.data.data_manager import Data, Examples
from promptarena.benchmark.inputs.array_cache import ArrayCache
from promptarena.benchmark.planning.suites import Suite
from promptarena.benchmark.plugins.learner import CannotTransferError, Learner
from promptarena.benchmark.training.evaluation import evaluate
from promptarena.benchmark.training.shots import Task
from promptarena.benchmark.training.tempering import fitted_temperatures, tempered

FAR_IMAGES = 100
"""The most images that are taken from each other dataset; the same for all runs, so that they see the same images."""


@dataclass(frozen=True)
class Further:
    """Which further predictions are made.

    Args:
        temperature: Those for the run's targets, with a temperature fitted on the training images.
        far: Those for images of the suite's other datasets, among the classes of the training.
    """

    temperature: bool = False
    far: bool = False

    def missing(self, spec: RunSpec, kept: Sequence[Target], scored: Sequence[Target]) -> "Further":
        """What of it a run lacks.

        Args:
            spec: The run.
            kept: The targets of the predictions that it keeps.
            scored: The targets that it has scores for.
        """
        own = Target(spec.dataset, spec.subset)
        return Further(
            self.temperature and any(target.tempered not in kept for target in spec.targets if target in scored),
            self.far
            and far_target(spec) not in kept
            and own in scored
            and not protocol_info(spec.protocol).is_transfer,
        )

    def __bool__(self) -> bool:
        return self.temperature or self.far


def far_target(spec: RunSpec) -> Target:
    """What a run's predictions for images of other datasets are kept as."""
    return Target(spec.dataset, "far")


@dataclass(frozen=True)
class Scorer:
    """Scores learners of a suite.

    Args:
        suite: The suite.
        data: Its datasets.
        cache: The cache of images and frozen features.
    """

    suite: Suite
    data: Data
    cache: ArrayCache

    def further(
        self, spec: RunSpec, learner: Learner, task: Task, chosen: Further
    ) -> Iterator[tuple[Target, Sequence[Predictions]]]:
        """Make further predictions.

        Args:
            spec: The run.
            learner: Its trained learner.
            task: What it was trained on.
            chosen: Which predictions.

        Yields:
            What they are kept as, and the predictions of each of the learner's readings. A target that the learner
            cannot score is left out.

        Raises:
            UserError: Data is missing.
            Exception: Whatever the learner raises.
        """
        if chosen.temperature:
            yield from self._tempered(spec, learner, task)
        if chosen.far and (found := self._far(spec, learner, task)):
            yield far_target(spec), found

    def _tempered(self, spec: RunSpec, learner: Learner, task: Task) -> Iterator[tuple[Target, Sequence[Predictions]]]:
        temperatures = fitted_temperatures(learner, task.classes, task.train, self.cache)
        cooled = tempered(learner, temperatures)
        for target in spec.targets:
            card = self.suite.card(target.dataset)
            classes = self.data.classes(card, target.subset, "test")
            everything = len(self.data.classes(card, "all", "test"))
            try:
                scored = evaluate(cooled, target, classes, self.data.test(card), everything, self.cache, keep=True)
            except CannotTransferError:
                continue
            yield (
                target.tempered,
                [
                    replace(each, target=target.tempered, temperature=temperatures[each.reading])
                    for each in scored.predictions
                ],
            )

    def _far(self, spec: RunSpec, learner: Learner, task: Task) -> Sequence[Predictions]:
        """The predictions of each reading; none where no other dataset has images of other classes."""
        everything: Subset = "all"
        parts: list[Sequence[Predictions]] = []
        for name in self.suite.dataset_names:
            if name == spec.dataset:
                continue
            images = self.data.others(self.suite.card(name), FAR_IMAGES, task.classes.names)
            if len(images):
                # No class is right for these images. The first one stands in the column of labels.
                test = Examples(images, np.zeros(len(images), dtype=np.int64))
                target, count = Target(spec.dataset, everything), len(task.classes)
                parts.append(evaluate(learner, target, task.classes, test, count, self.cache, keep=True).predictions)
        return [replace(joined(each), target=far_target(spec)) for each in zip(*parts, strict=True)]
