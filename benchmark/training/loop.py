"""The training loop of every method: optimiser, warm-up, schedule, precision, clipping, a checkpoint per epoch."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from promptarena.benchmark.core.keys import generator
from promptarena.benchmark.core.recipe import Recipe, learning_rate, set_rates
from promptarena.benchmark.inputs.array_cache import ArrayCache
from promptarena.benchmark.inputs.out_of_memory import does_not_fit
from promptarena.benchmark.inputs.prefetch import read_ahead
from promptarena.benchmark.plugins.learner import Images, Learner
from promptarena.benchmark.training.checkpoint import Checkpoint
from promptarena.benchmark.training.outputs import (
    NotFiniteError,
    check_logits,
    check_losses,
    check_parameters,
    unpacked,
)
from promptarena.benchmark.training.shots import Task, TrainingImages, batches
from promptarena.benchmark.training.step_graphs import Recorder, StepGraphs, Terms, graph_use

Curve = Mapping[str, float]


def train(
    learner: Learner,
    recipe: Recipe,
    task: Task,
    *,
    cache: ArrayCache,
    checkpoint: Path,
    train_key: str,
    on_epoch: Callable[[Curve], None],
    verify: Callable[[], None] = lambda: None,
    recorder: Recorder | None = None,
) -> Checkpoint:
    """Train a learner in place; resume if there is a checkpoint.

    Args:
        learner: The learner, with its initial parameters.
        recipe: The training recipe.
        task: The classes, the few-shot split and the seed.
        cache: The cache of images and frozen features.
        checkpoint: The checkpoint file, read first and written after every epoch.
        train_key: The key of this training; a checkpoint of another one is refused.
        on_epoch: Called with the curve of every epoch, also of those trained before an interruption.
        verify: Called before a checkpoint is written; what it raises ends the training.
        recorder: Records the steps, to replay them; None carries out each as it stands. Figures do not depend on it.

    Returns:
        The final state, which is also in the file `checkpoint`.

    Raises:
        NotFiniteError: A loss became NaN or infinite, or a trained parameter is.
        WrongOutputError: A training step returned something other than logits and losses.
        UserError: The checkpoint is damaged, belongs to another training or cannot be written; or the training does not
            fit into the device's memory.
    """
    with _fitting(learner, recipe, task):
        images, state = begin(
            learner, recipe, task, cache=cache, checkpoint=checkpoint, train_key=train_key, verify=verify
        )
        loop = _Loop(learner, recipe, task, images, state, recorder)
        for curve in state.curves:
            on_epoch(curve)
        for epoch in range(state.epoch + 1, recipe.epochs + 1):
            started = time.perf_counter()
            curve = loop.epoch(epoch)
            if epoch == recipe.epochs:
                learner.end_training(images)
            verify()
            seconds = state.train_seconds + time.perf_counter() - started
            state = loop.state(train_key, epoch, (*state.curves, curve), seconds, state.steps + loop.steps)
            state.save(checkpoint)
            on_epoch(curve)
        check_parameters(learner)
    return state


@contextmanager
def _fitting(learner: Learner, recipe: Recipe, task: Task) -> Iterator[None]:
    """Say in one line what does not fit into the device's memory: a step cannot be halved without other figures."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        what = f"a training step of {recipe.batch_size} images and {len(task.classes)} classes"
        raise does_not_fit(what, learner.backbone.device) from error


def begin(
    learner: Learner,
    recipe: Recipe,
    task: Task,
    *,
    cache: ArrayCache,
    checkpoint: Path,
    train_key: str,
    verify: Callable[[], None],
) -> tuple[TrainingImages, Checkpoint]:
    """Load the state of a training, or create it by calling the learner's `fit`.

    Args:
        learner: The learner; it is moved to the backbone's device.
        recipe: The training recipe.
        task: The classes, the few-shot split and the seed.
        cache: The cache of images and frozen features.
        checkpoint: The checkpoint file; written after `fit` when it does not exist.
        train_key: The key of this training.
        verify: As for `train`.

    Returns:
        The images of the training, and its state. The learner does not have the state's tensors yet (see `take_up`).

    Raises:
        UserError: As `train`.
    """
    learner.to(learner.backbone.device)
    images = TrainingImages(learner, recipe, task, cache)
    state = Checkpoint.load(checkpoint, train_key)
    if state is None:
        started = time.perf_counter()
        learner.fit(images)
        if recipe.epochs == 0:
            learner.end_training(images)
        verify()
        state = Checkpoint(train_key, 0, learner.state_dict(), {}, {}, (), time.perf_counter() - started)
        state.save(checkpoint)
    return images, state


def take_up(learner: Learner, state: Checkpoint) -> None:
    """Load the tensors of a checkpoint into the learner.

    Args:
        learner: The learner.
        state: The checkpoint. Tensors that the learner computes in `fit` take their shapes from it.
    """
    learner.load_state_dict({name: value.to(learner.backbone.device) for name, value in state.learner.items()})


def curve_of(epoch: int, rate: float, means: Mapping[str, float]) -> Curve:
    """The curve of one epoch.

    Args:
        epoch: The epoch, from 1.
        rate: The learning rate of its last step.
        means: The means of the losses and of the training accuracy (0 .. 1) over its steps.

    Returns:
        "epoch", "lr" and the means.

    Raises:
        NotFiniteError: A mean is NaN or infinite.
    """
    if not all(map(math.isfinite, means.values())):
        raise NotFiniteError(f"the loss is not finite in epoch {epoch}: {means}")
    return {"epoch": float(epoch), "lr": rate, **means}


class _Loop:
    def __init__(
        self,
        learner: Learner,
        recipe: Recipe,
        task: Task,
        images: TrainingImages,
        state: Checkpoint,
        recorder: Recorder | None,
    ) -> None:
        self.learner = learner
        self.recipe = recipe
        self.task = task
        self.images = images
        self.device = learner.backbone.device
        self.steps = recipe.steps(len(task.train.labels))
        # The optimiser comes after `take_up`: it must hold the parameters that are trained, with their final shapes.
        take_up(learner, state)
        self.graphs = StepGraphs(recorder, learner, list(learner.parameters())) if recorder else None
        self.stage = recipe.stage(max(1, state.epoch), self.steps).number
        self._begin_stage()
        if not (state.epoch and recipe.stage(state.epoch, self.steps).ends):
            self._restore_optimizer(state)
        self.prompts: Any = None

    def _begin_stage(self) -> None:
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.learner.backbone.precision == "fp16")
        trained = self.learner.begin_stage(self.stage)
        self.optimizer = make_optimizer(trained, self.learner.lr_factor, self.recipe)
        if self.graphs:
            self.graphs.forget()

    def epoch(self, epoch: int) -> Curve:
        if self.prompts is None:
            self.prompts = self.learner.training_prompts(self.task.classes)
        stage = self.recipe.stage(epoch, self.steps)
        if stage.number != self.stage:
            self.stage = stage.number
            self._begin_stage()
        drawn = generator("learner", self.task.seed, epoch).integers(2**63)
        self.learner.begin_epoch(epoch, torch.Generator().manual_seed(int(drawn)))
        if self.graphs:
            self.graphs.begin_epoch()
        view = self.images.view(epoch)
        steps = batches(len(view), self.recipe, self.task.seed, epoch, self.task.train.labels)
        # Sums stay on the device: reading a value in every step would make the CPU wait for the GPU.
        sums: dict[str, Tensor] = {}
        rate = 0.0
        decoded = read_ahead(view, [rows.tolist() for rows in steps])
        for step, (rows, images) in enumerate(zip(steps, decoded, strict=True)):
            rate = learning_rate(self.recipe, epoch, step, self.steps)
            set_rates(self.optimizer, self.recipe, rate, epoch)
            for name, value in self.step(images, rows).items():
                sums[name] = sums.get(name, torch.zeros((), device=self.device)) + value
        self.learner.end_epoch(epoch, self.recipe)
        if stage.ends:
            self.learner.end_stage(stage.number)
        return curve_of(epoch, rate, {name: float(value) / len(steps) for name, value in sums.items()})

    def step(self, images: Images, rows: np.ndarray) -> Terms:
        labels = self.images.train_labels[torch.from_numpy(rows).to(self.device, non_blocking=True)]
        terms = self.graphs(self.gradients, images, labels) if self.graphs else self.gradients(images, labels)
        # In fp16, gradients are multiplied by the loss scale; the limit is for the true ones, so unscale them first.
        if self.recipe.clip_gradient is not None:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.learner.parameters(), self.recipe.clip_gradient)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return terms

    def gradients(self, images: Images, labels: Tensor) -> Terms:
        """Forward and backward; what is computed here may be recorded, so the host must not decide by any value."""
        with self.learner.backbone.autocast():
            logits, losses = unpacked(self.learner.training_step(images, labels, self.prompts))
            check_logits(logits, (len(labels), len(self.task.classes)))
            check_losses(losses)
            # Added one by one in the order of the learner's mapping: another order may change the last bits.
            loss = sum(losses.values(), torch.zeros((), device=self.device))
        self.optimizer.zero_grad(set_to_none=True)
        self.learner.backward({name: self.scaler.scale(value) for name, value in losses.items()})
        accuracy = (logits.detach().argmax(-1) == labels).float().mean()
        return {"loss": loss.detach(), "train_accuracy": accuracy} | {
            name: value.detach() for name, value in losses.items()
        }

    def state(self, train_key: str, epoch: int, curves: tuple[Curve, ...], seconds: float, steps: int) -> Checkpoint:
        optimizer = flat_state(self.optimizer)
        scaler = self.scaler.state_dict()
        use = graph_use(self.graphs)
        return Checkpoint(train_key, epoch, self.learner.state_dict(), optimizer, scaler, curves, seconds, steps, use)

    def _restore_optimizer(self, state: Checkpoint) -> None:
        restore(self.optimizer, state.optimizer)
        if state.scaler:
            self.scaler.load_state_dict(dict(state.scaler))


def flat_state(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The state of an optimiser, in the form that a checkpoint stores.

    Args:
        optimizer: The optimiser.

    Returns:
        Its tensors by "number of the parameter.name", e.g. "0.momentum_buffer".
    """
    return {
        f"{index}.{name}": value if isinstance(value, Tensor) else torch.tensor(value)
        for index, state in optimizer.state_dict()["state"].items()
        for name, value in state.items()
        if value is not None
    }


def restore(optimizer: torch.optim.Optimizer, flat: Mapping[str, Tensor]) -> None:
    """Load what `flat_state` returned.

    Args:
        optimizer: An optimiser of the same parameters.
        flat: The tensors by name; empty for a new training.
    """
    states: dict[int, dict[str, Tensor]] = {}
    for key, value in flat.items():
        index, name = key.split(".", 1)
        states.setdefault(int(index), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": states, "param_groups": groups})


def make_optimizer(
    named: Mapping[str, Tensor], lr_factor: Callable[[str], float], recipe: Recipe
) -> torch.optim.Optimizer:
    """Create the recipe's optimiser.

    Args:
        named: The parameters by name.
        lr_factor: The factor of a parameter's learning rate, by its name.
        recipe: The training recipe.

    Returns:
        The optimiser. Parameters with equal factors form a group, which keeps the factor under "factor".
    """
    # Groups and the parameters in them keep the order of `named`; the numbers of `flat_state` rely on it.
    by_factor: dict[float, list[Tensor]] = {}
    for name, parameter in named.items():
        by_factor.setdefault(lr_factor(name), []).append(parameter)
    parameters = [{"params": group, "factor": factor} for factor, group in (by_factor or {1.0: []}).items()]
    lr, weight_decay = recipe.lr, recipe.weight_decay
    # foreach: a GPU gets one kernel for all parameters instead of one for each; the bits are the same.
    match recipe.optimizer:
        case "sgd":
            return torch.optim.SGD(parameters, lr=lr, momentum=recipe.momentum, weight_decay=weight_decay, foreach=True)
        case "adam":
            return torch.optim.Adam(parameters, lr=lr, eps=recipe.eps, weight_decay=weight_decay, foreach=True)
        case "adamw":
            return torch.optim.AdamW(parameters, lr=lr, eps=recipe.eps, weight_decay=weight_decay, foreach=True)
