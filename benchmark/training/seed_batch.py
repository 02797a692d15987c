"""Trains several seeds of a method as one batched computation.

Each training keeps its own images, batches, augmentation, curve, and checkpoint file after every epoch, so it can be
resumed alone at any time. Results equal those of a training alone up to rounding only; the user therefore has to
request it.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from promptarena.benchmark.backbone.accelerations import Precision
from promptarena.benchmark.core.recipe import Recipe, learning_rate, set_rates
from promptarena.benchmark.inputs.array_cache import ArrayCache
from promptarena.benchmark.inputs.prefetch import read_ahead
from promptarena.benchmark.plugins.learner import Images, Learner
from promptarena.benchmark.training.checkpoint import Checkpoint
from promptarena.benchmark.training.given_inputs import together
from promptarena.benchmark.training.loop import (
    Curve,
    begin,
    curve_of,
    flat_state,
    make_optimizer,
    restore,
    take_up,
)
from promptarena.benchmark.training.outputs import (
    NotFiniteError,
    check_logits,
    check_losses,
    check_parameters,
    unpacked,
)
from promptarena.benchmark.training.shots import Task, TrainingImages, batches
from promptarena.benchmark.training.stacked_learners import Stacked
from promptarena.benchmark.training.step_graphs import Recorder, StepGraphs, Terms, graph_use


@dataclass(frozen=True)
class Member:
    """One of the trainings; the fields are the arguments of `loop.train`."""

    learner: Learner
    task: Task
    checkpoint: Path
    train_key: str
    on_epoch: Callable[[Curve], None]
    verify: Callable[[], None] = lambda: None


@dataclass
class _Standing:
    """A member during training: its images and its state."""

    member: Member
    drawn: TrainingImages
    state: Checkpoint


def can_train_together(learner: type[Learner], recipe: Recipe, precision: Precision) -> bool:
    """Whether several seeds of a learner can be trained together.

    Args:
        learner: The learner's class.
        recipe: The training recipe.
        precision: The precision of the training.

    Returns:
        True when the class declares itself `stackable`, there are epochs to train in one stage, batches are not of one
        class each (seeds could differ in their number), and the precision is not fp16, whose loss scaling is not
        implemented for stacked learners.
    """
    # `vars`, because `stackable` must not be inherited: a subclass may have a step that cannot be batched.
    stackable = bool(vars(learner).get("stackable")) and not recipe.one_class and len(recipe.iterations) < 2
    return stackable and recipe.epochs > 0 and precision != "fp16"


def train_together(
    members: Sequence[Member], recipe: Recipe, cache: ArrayCache, recorder: Recorder | None = None
) -> list[Checkpoint | NotFiniteError]:
    """Train members to the end, in place; each is resumed if it has a checkpoint.

    Members at the same epoch and with the same number of images form one computation.

    Args:
        members: Trainings with the same method, configuration and classes.
        recipe: The training recipe of all.
        cache: The cache of images and frozen features.
        recorder: Records the steps of all members as one, to replay them; None carries out each as it stands.

    Returns:
        For each member its final state, which is also in its checkpoint file, or the error that ended it. The others
        continue without a member that failed.

    Raises:
        UserError: A checkpoint is damaged, belongs to another training or cannot be written.
    """
    standing = []
    for member in members:
        drawn, state = begin(
            member.learner,
            recipe,
            member.task,
            cache=cache,
            checkpoint=member.checkpoint,
            train_key=member.train_key,
            verify=member.verify,
        )
        take_up(member.learner, state)
        for curve in state.curves:
            member.on_epoch(curve)
        standing.append(_Standing(member, drawn, state))
    errors: dict[int, NotFiniteError] = {}
    by_epoch: dict[tuple[int, int], list[int]] = {}
    for number, each in enumerate(standing):
        by_epoch.setdefault((each.state.epoch, len(each.member.task.train.labels)), []).append(number)
    for numbers in by_epoch.values():
        left = numbers
        while left:
            failed = _to_the_end([standing[number] for number in left], recipe, recorder)
            for place, error in failed.items():
                errors[left[place]] = error
            left = [number for place, number in enumerate(left) if place not in failed] if failed else []
    for number, each in enumerate(standing):
        try:
            check_parameters(each.member.learner)
        except NotFiniteError as error:
            errors.setdefault(number, error)
    return [errors.get(number, each.state) for number, each in enumerate(standing)]


def _to_the_end(standing: Sequence[_Standing], recipe: Recipe, recorder: Recorder | None) -> dict[int, NotFiniteError]:
    """Train until the last epoch, or until the end of an epoch in which a member failed; returns the failed ones."""
    first = standing[0].state.epoch
    if first >= recipe.epochs:
        return {}
    loop = _Loop(standing, recipe, recorder)
    for epoch in range(first + 1, recipe.epochs + 1):
        if failed := loop.epoch(epoch):
            return failed
    return {}


class _Loop:
    def __init__(self, standing: Sequence[_Standing], recipe: Recipe, recorder: Recorder | None) -> None:
        self._standing = standing
        self._recipe = recipe
        learner = standing[0].member.learner
        self._device = learner.backbone.device
        self._backbone = learner.backbone
        self._stacked = Stacked([each.member.learner for each in standing])
        self._optimizer = make_optimizer(self._stacked.parameters, learner.lr_factor, recipe)
        tensors = list(self._stacked.parameters.values())
        self._graphs = StepGraphs(recorder, self._stacked.learner, tensors) if recorder else None
        kept = [each.state.optimizer for each in standing]
        restore(
            self._optimizer,
            {
                name: value if _is_count(name) else torch.stack([each[name] for each in kept])
                for name, value in kept[0].items()
            },
        )
        self._prompts: Any = learner.training_prompts(standing[0].member.task.classes)

    def epoch(self, epoch: int) -> dict[int, NotFiniteError]:
        """Train all members for one epoch, and save the states of those that did not fail."""
        started = time.perf_counter()
        seeds = range(len(self._standing))
        views = [each.drawn.view(epoch) for each in self._standing]
        rows = [
            batches(len(view), self._recipe, each.member.task.seed, epoch)
            for view, each in zip(views, self._standing, strict=True)
        ]
        count, rate = len(rows[0]), 0.0
        whole = self._recipe.steps(len(views[0]))
        sums: dict[str, Tensor] = {}
        decoded = [read_ahead(view, [each.tolist() for each in own]) for view, own in zip(views, rows, strict=True)]
        for step, images in enumerate(zip(*decoded, strict=True)):
            rate = learning_rate(self._recipe, epoch, step, whole)
            set_rates(self._optimizer, self._recipe, rate, epoch)
            labels = torch.stack([self._labels(seed, rows[seed][step]) for seed in seeds])
            for name, value in self._step(together(images), labels).items():
                sums[name] = sums.get(name, torch.zeros(len(seeds), device=self._device)) + value
        # Learners may change their tensors at the end of an epoch, e.g. average prompts, so they get the trained ones
        # before it and return theirs after it.
        self._stacked.hand_out()
        for each in self._standing:
            each.member.learner.end_epoch(epoch, self._recipe)
            if epoch == self._recipe.epochs:
                each.member.learner.end_training(each.drawn)
        self._stacked.collect()
        means = {name: (value / count).tolist() for name, value in sums.items()}
        share = (time.perf_counter() - started) / len(seeds)
        failed = {}
        for seed, each in enumerate(self._standing):
            try:
                curve = curve_of(epoch, rate, {name: values[seed] for name, values in means.items()})
            except NotFiniteError as error:
                failed[seed] = error
                continue
            each.member.verify()
            each.state = self._state(seed, epoch, curve, share)
            each.state.save(each.member.checkpoint)
            each.member.on_epoch(curve)
        return failed

    def _labels(self, seed: int, rows: np.ndarray) -> Tensor:
        on_device = torch.from_numpy(rows).to(self._device, non_blocking=True)
        return self._standing[seed].drawn.train_labels[on_device]

    def _step(self, images: Images, labels: Tensor) -> Terms:
        terms = self._graphs(self._gradients, images, labels) if self._graphs else self._gradients(images, labels)
        if self._recipe.clip_gradient is not None:
            self._stacked.clip_gradients(self._recipe.clip_gradient)
        self._optimizer.step()
        return terms

    def _gradients(self, images: Images, labels: Tensor) -> Terms:
        with self._backbone.autocast():
            logits, losses = unpacked(self._stacked.training_step(images, labels, self._prompts))
        check_logits(logits, (*labels.shape, len(self._standing[0].member.task.classes)))
        check_losses(losses, labels.shape[:1])
        self._optimizer.zero_grad(set_to_none=True)
        self._stacked.backward(losses)
        accuracy = (logits.detach().argmax(-1) == labels).float().mean(-1)
        terms = {name: value.detach() for name, value in losses.items()}
        return {"loss": torch.stack(list(terms.values())).sum(0), "train_accuracy": accuracy} | terms

    def _state(self, seed: int, epoch: int, curve: Curve, seconds: float) -> Checkpoint:
        each = self._standing[seed]
        optimizer = {
            name: value if _is_count(name) else value[seed] for name, value in flat_state(self._optimizer).items()
        }
        curves, spent = (*each.state.curves, curve), each.state.train_seconds + seconds
        steps = each.state.steps + self._recipe.steps(len(each.member.task.train.labels))
        tensors, use = each.member.learner.state_dict(), graph_use(self._graphs)
        return Checkpoint(each.member.train_key, epoch, tensors, optimizer, {}, curves, spent, steps, use)


def _is_count(name: str) -> bool:
    """Whether a tensor of the optimiser is the number of steps, a scalar that all seeds share."""
    return name.endswith(".step")
