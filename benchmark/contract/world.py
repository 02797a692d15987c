"""What the contract tests a method on: a world of few images, and a method trained in it."""

import random
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from promptarena.benchmark.backbone.accelerations import Precision
from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.backbone.loading import load_backbone
from promptarena.benchmark.backbone.seal import Seal
from promptarena.benchmark.backbone.shared_state import SharedState
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.protocol_table import DEFAULT_PROTOCOL
from promptarena.benchmark.core.recipe import Recipe, TrainingTask, adapted, in_epochs
from promptarena.benchmark.data.data_manager import Data, DatasetImages, Examples
from promptarena.benchmark.inputs.array_cache import ArrayCache, default_cache_folder
from promptarena.benchmark.inputs.views import View
from promptarena.benchmark.planning.suites import load_suite
from promptarena.benchmark.plugins.learner import Config, Images, Learner
from promptarena.benchmark.training.loop import train
from promptarena.benchmark.training.shots import Task, batches

BATCH = 8
EPOCHS = 2
STEPS = 6
"""Iterations of each stage, for a recipe in iterations."""
TEST_IMAGES = 12
GENTLE = 0.25
"""Factor for the suite's learning rates: a trial of few steps has no warm-up, and full rates could overshoot."""


@dataclass(frozen=True)
class World:
    """Everything that a method needs from its surroundings.

    task: the training task of a seed; another seed draws other images. test: images to score. novel: classes that are
    not trained on, with another number of classes. training: the argument of a preset. adapt: a published recipe ->
    the recipe used.
    """

    backbone: Backbone
    task: Callable[[int], Task]
    test: Examples
    novel: Classes
    cache: ArrayCache
    training: TrainingTask
    adapt: Callable[[Recipe], Recipe]


def shortened(recipe: Recipe, lr_multiplier: float = 1.0, adaptive_lr_multiplier: float = 1.0) -> Recipe:
    """A recipe for a trial: at most EPOCHS epochs, or STEPS iterations a stage, without warm-up, batches of at most
    BATCH, no augmentation."""
    scaled = adapted(
        recipe,
        images=0,
        lr_multiplier=lr_multiplier,
        adaptive_lr_multiplier=adaptive_lr_multiplier,
        max_epochs=EPOCHS,
        max_steps=None,
        augment=False,
    )
    return scaled.model_copy(
        update={
            "warmup_epochs": 0,
            "batch_size": min(recipe.batch_size, BATCH),
            "iterations": (STEPS,) * len(recipe.iterations),
        }
    )


def miniature(dataset: str = "digits", shots: int = 8) -> World:
    """The embedded CLIP and one of the embedded datasets, on the CPU.

    shots: images drawn of each class, fewer than the dataset has, so that seeds draw different ones. The preset is that
    of the suite's own number of shots.
    """
    suite, data = load_suite("mini"), Data(None)
    card, source = suite.card(dataset), suite.backbone
    novel, split = data.classes(card, "novel", "test"), data.split(card, "test")
    rows = np.linspace(0, len(split) - 1, TEST_IMAGES).astype(np.int64)

    def task(seed: int) -> Task:
        return Task(data.classes(card, "base", "train"), *data.few_shot(card, "base", shots, seed), seed)

    def adapt(recipe: Recipe) -> Recipe:
        rates = suite.training
        return shortened(recipe, GENTLE * rates.lr_multiplier, GENTLE * rates.adaptive_lr_multiplier)

    return World(
        backbone=load_backbone(source.given_architecture, source.given_weights, device="cpu"),
        task=task,
        test=Examples(DatasetImages(card, split, rows), split.labels[rows]),
        novel=Classes(novel.names[:-1], novel.template, novel.dataset),
        cache=ArrayCache(default_cache_folder()),
        training=suite.task(DEFAULT_PROTOCOL, dataset, suite.shots),
        adapt=adapt,
    )


class Trained:
    """A learner after its training; `state` and `logits` are stored as they were at that time."""

    def __init__(self, subject: "Subject", learner: Learner) -> None:
        self._subject = subject
        self.learner = learner
        self.state = {name: tensor.clone() for name, tensor in learner.state_dict().items()}

    @cached_property
    def logits(self) -> Tensor:
        """(B, C) of the test images among the trained classes, computed on first use and stored."""
        return self._subject.logits(self.learner)

    def same_as(self, other: "Trained") -> bool:
        """Whether tensors and logits are equal to the last bit."""
        return same(self.state, other.state) and torch.equal(self.logits, other.logits)


class Subject:
    """A method in a world, with its own backbone, so that a method which changes it does not affect others."""

    def __init__(self, learner: type[Learner], world: World, config: Config | None = None) -> None:
        preset, recipe = learner.preset(world.training)
        self.type = learner
        self.world = world
        self.config = config or preset
        images = len(world.task(1).train.labels)
        self.recipe = in_epochs(world.adapt(recipe), images)
        self.backbone = self._backbone(deepcopy(world.backbone.model), "fp32")
        self.seal = Seal(self.backbone)
        self.task = world.task(1)
        self.classes = self.task.classes
        self._trained: dict[tuple[int, int], Trained] = {}

    def _backbone(self, model: object, precision: Precision) -> Backbone:
        own = self.world.backbone
        return Backbone(model, own.name, own.digest, own.device, precision, own.mean, own.std, own.origin)

    def backbone_in(self, precision: Precision) -> Backbone:
        """The same backbone, computing in this precision."""
        backbone = self._backbone(self.backbone.model, precision)
        backbone.intact = self.seal.intact
        return backbone

    def build(self, seed: int = 1, backbone: Backbone | None = None) -> Learner:
        """A new learner whose initial values come from `seed`."""
        chosen = backbone or self.backbone
        return self.type(chosen, self.config, self.classes, torch.Generator().manual_seed(seed)).to(chosen.device)

    def trained(self, seed: int = 1, ambient: int = 1) -> Trained:
        """The learner trained with `seed`, the global generators seeded with `ambient`; trained once and stored."""
        if (seed, ambient) not in self._trained:
            self._trained[seed, ambient] = self.train_anew(seed, ambient)
        return self._trained[seed, ambient]

    def train_anew(self, seed: int = 1, ambient: int = 1, stop_after: int | None = None) -> Trained:
        """As `trained`, but trained at each call; if interrupted after epoch `stop_after`, a new learner resumes
        from the checkpoint."""
        with tempfile.TemporaryDirectory() as folder, global_randomness(ambient):
            checkpoint = Path(folder) / "checkpoint.safetensors"
            if stop_after is not None:
                with suppress(_StoppedError):
                    self._train(seed, checkpoint, stop_after)
            return Trained(self, self._train(seed, checkpoint))

    def _train(self, seed: int, checkpoint: Path, stop_after: int | None = None) -> Learner:
        def on_epoch(curve: Mapping[str, float]) -> None:
            if curve["epoch"] == stop_after:
                raise _StoppedError

        learner = self.build(seed)
        task, cache = self.world.task(seed), self.world.cache
        train(learner, self.recipe, task, cache=cache, checkpoint=checkpoint, train_key="trial", on_epoch=on_epoch)
        return learner

    def batch(self, backbone: Backbone | None = None) -> tuple[Images, Tensor]:
        """A training batch: images and labels."""
        recipe = self.recipe.model_copy(update={"batch_size": BATCH})
        rows = batches(len(self.task.train.labels), recipe, 1, 1)[0]
        view = View(self.task.train.images, backbone or self.backbone, self.world.cache)
        return view.batch(rows.tolist()), torch.from_numpy(self.task.train.labels[rows]).to(self.backbone.device)

    def test_images(self, learner: Learner, rows: list[int] | None = None) -> Images:
        """The test images, or some rows of them."""
        view = View(self.world.test.images, learner.backbone, self.world.cache)
        return view.batch(list(range(len(view))) if rows is None else rows)

    def logits(self, learner: Learner, classes: Classes | None = None, rows: list[int] | None = None) -> Tensor:
        """(B, C) as an evaluation computes them: the test images (or `rows` of them) among the trained classes."""
        return self._score(learner, classes or self.classes, self.test_images(learner, rows))

    def readings(self, learner: Learner) -> Mapping[str, Tensor]:
        """All readings of the test images among the trained classes, as an evaluation computes them."""
        learner.eval()
        with torch.inference_mode(), learner.backbone.autocast():
            classifier = learner.classifier(learner.prompts(self.classes))
            found = learner.readings(self.test_images(learner), classifier)
        learner.train()
        return found

    def cross_entropy(self, learner: Learner) -> float:
        """The cross-entropy of the training images, which are scored like test images."""
        view = View(self.task.train.images, learner.backbone, self.world.cache)
        scores = self._score(learner, self.classes, view.batch(range(len(view))))
        return float(F.cross_entropy(scores, torch.from_numpy(self.task.train.labels).to(scores.device)))

    def _score(self, learner: Learner, classes: Classes, images: Images) -> Tensor:
        learner.eval()
        with torch.inference_mode(), learner.backbone.autocast():
            scores = learner.logits(images, learner.classifier(learner.prompts(classes)))
        learner.train()
        return scores.float().clone()


class _StoppedError(Exception):
    """Raised to interrupt a training on purpose."""


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Whether two states hold equal tensors under the same names."""
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def leaves(loss: Tensor) -> list[Tensor]:
    """The tensors to which a backward pass of the loss would give gradients."""
    found, seen, open_nodes = [], set(), [loss.grad_fn]
    while open_nodes:
        node = open_nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.append(node.variable)
        open_nodes += [following for following, _ in node.next_functions]
    return found


@contextmanager
def global_randomness(seed: int) -> Iterator[None]:
    """Put the global generators of torch, NumPy and Python into a known state; restore them at the end."""
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(before[0])
        np.random.set_state(before[1])
        random.setstate(before[2])


@contextmanager
def restored_process() -> Iterator[None]:
    """At the end, restore torch's flags and the shared functions and classes, should a method have changed them."""
    before = SharedState()
    try:
        yield
    finally:
        before.restore()


@contextmanager
def one_thread() -> Iterator[None]:
    """Use one CPU thread, as in a comparison: the last bits of a matrix product depend on the number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
