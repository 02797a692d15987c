"""Estimates the runs and GPU hours of a comparison from dataset cards and tensor shapes, without data or weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from promptarena.benchmark.backbone.clip import Backbone, Prompts
from promptarena.benchmark.backbone.loading import backbone_of_shapes
from promptarena.benchmark.core.recipe import images_seen
from promptarena.benchmark.core.runs import RunSpec, Subset
from promptarena.benchmark.core.subsets import subset_labels
from promptarena.benchmark.data.cards import Card, SplitName
from promptarena.benchmark.data.data_manager import Data
from promptarena.benchmark.data.readers.listing import MissingDataError
from promptarena.benchmark.planning.plan import resolve
from promptarena.benchmark.planning.suites import Suite
from promptarena.benchmark.plugins.asking import MethodFailedError
from promptarena.benchmark.plugins.registry import Registry

SUSTAINED_TFLOPS = 40.0
"""Assumed mean speed of one GPU in matrix products, in 10^12 floating-point operations per second."""

STEP_KERNELS, BATCH_KERNELS = 1000, 300
"""Assumed kernels of a training step, and of an evaluation's batch in each pass of its images. Counted were 140 to 1177
a step (results/speed/operators.md)."""

REPLAYED_LAUNCHES = 50
"""Assumed launches of a training step that is replayed as a CUDA graph. Counted were 15 to 28."""

LAUNCH_SECONDS = 5e-6
"""Assumed time in which Python and CUDA launch a kernel."""

BATCH = 100
"""Images of an evaluation's batch."""

CORES, DECODED_PER_CORE = 16, 100.0
"""Assumed CPU cores for each GPU, and the images that one of them decodes and resizes per second."""


@dataclass(frozen=True)
class GpuTime:
    """Estimated hours of a run, or of several, on one GPU, by what they are spent on.

    The three go on at the same time, so a run takes as long as the longest of them.

    Args:
        products: Matrix products on the GPU.
        launches: Launching kernels, one after the other.
        decoding: Decoding images on the CPU.
    """

    products: float = 0.0
    launches: float = 0.0
    decoding: float = 0.0

    def __add__(self, other: "GpuTime") -> "GpuTime":
        """The time of both, one after the other."""
        return GpuTime(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(GpuTime)))

    @property
    def hours(self) -> float:
        """The longest of the three."""
        return float(getattr(self, self.bound))

    @property
    def bound(self) -> str:
        """The name of the longest of the three."""
        return max((each.name for each in fields(GpuTime)), key=lambda name: getattr(self, name))


def missing_data(suite: Suite, runs: Sequence[RunSpec], root: Path | None) -> dict[str, str]:
    """The datasets that the runs need and that are not on this machine.

    Args:
        suite: The suite.
        runs: The runs.
        root: The folder of the public datasets; None takes it from the environment.

    Returns:
        The reason for each missing dataset, by name.

    Raises:
        UserError: A dataset is there but does not fit its card.
    """
    data, missing = Data(root), {}
    for name, split in dict.fromkeys(pair for run in runs for pair in _needed(run)):
        try:
            data.split(suite.card(name), split)
        except MissingDataError as error:
            missing[name] = str(error)
    return missing


def _needed(run: RunSpec) -> list[tuple[str, SplitName]]:
    return [(run.dataset, "train"), *((target.dataset, "test") for target in run.targets)]


def without_failing(
    suite: Suite, registry: Registry, runs: Sequence[RunSpec]
) -> tuple[tuple[RunSpec, ...], tuple[str, ...]]:
    """Try the presets and settings of all runs.

    Args:
        suite: The suite.
        registry: The known methods.
        runs: The runs.

    Returns:
        The runs that can be resolved, and one line for each reason why a method failed.

    Raises:
        UserError: A setting is wrong.
    """
    kept, failed = [], dict[str, None]()
    for run in runs:
        try:
            resolve(run, suite, registry, run.shots)
        except MethodFailedError as error:
            failed[str(error)] = None
        else:
            kept.append(run)
    return tuple(kept), tuple(failed)


def gpu_hours(
    suite: Suite, registry: Registry, runs: Sequence[RunSpec], *, cuda_graphs: bool = True
) -> dict[RunSpec, GpuTime]:
    """Estimate the hours of each run on one GPU.

    Assumptions: the constants above, and nothing is cached. In training, every image and every class prompt passes its
    tower forward and backward (without epochs, every image forward only). In evaluation, every image passes forward, as
    often as the method's `image_passes` says. A card without counts and class names adds nothing.

    Args:
        suite: The suite.
        registry: The known methods.
        runs: The runs.
        cuda_graphs: Whether training steps are replayed as CUDA graphs; those of a method that draws in them are not.

    Returns:
        The time of each run. A training that several runs share counts for the first of them.

    Raises:
        UserError: A setting is wrong.
    """
    from promptarena.benchmark.plugins.learner import Learner  # imports torch, which a finished plan does not need

    costs = _Costs(backbone_of_shapes(suite.backbone.given_architecture))
    trained: set[tuple[object, ...]] = set()
    hours: dict[RunSpec, GpuTime] = {}
    for run in runs:
        card = suite.card(run.dataset)
        classes = _classes(card, run.subset)
        config, recipe = resolve(run, suite, registry, run.shots * classes)
        training = (run.method, run.dataset, run.subset, run.shots, run.seed, repr(config), repr(recipe))
        seen = 0 if training in trained else images_seen(recipe, run.shots * classes)
        trained.add(training)
        # Each step encodes all class prompts once. The backward pass counts like a second forward pass, since frozen
        # weights need no gradients of their own.
        prompts = seen // recipe.batch_size * classes
        operations = 2 * (seen * costs.image + prompts * costs.prompt(card)) if recipe.epochs else seen * costs.image
        learner = registry.get(run.method).learner
        replayed = cuda_graphs and learner.begin_epoch is Learner.begin_epoch
        each = REPLAYED_LAUNCHES if replayed else STEP_KERNELS
        kernels = each * seen / recipe.batch_size if recipe.epochs else BATCH_KERNELS * seen / BATCH
        decoded = float(seen)
        passes = learner.image_passes(config)
        for target in run.targets:
            scored = suite.card(target.dataset)
            images, names = _images(scored, target.subset, suite.limit), _classes(scored, target.subset)
            times = images if learner.image_conditioned else 1
            operations += passes * images * costs.image + times * names * costs.prompt(scored)
            # Several passes belong to a method that takes each image alone.
            kernels += BATCH_KERNELS * (images if passes > 1 else images / BATCH)
            decoded += images
        seconds = (
            operations / (SUSTAINED_TFLOPS * 1e12),
            LAUNCH_SECONDS * kernels,
            decoded / (CORES * DECODED_PER_CORE),
        )
        hours[run] = GpuTime(*(each / 3600 for each in seconds))
    return hours


def _classes(card: Card, subset: Subset) -> int:
    return len(subset_labels(subset, len(card.class_names)))


def _images(card: Card, subset: Subset, limit: int | None) -> float:
    """Test images of a subset, if all classes had the same number of images."""
    count = card.counts.get("test", 0)
    return (count if limit is None else min(count, limit)) * _classes(card, subset) / max(len(card.class_names), 1)


class _Costs:
    """Operations of one image and of one class prompt in a forward pass."""

    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone
        size = backbone.image_size
        self.image = _operations(lambda: backbone.encode_image(torch.empty(1, 3, size, size, device="meta")))
        self._lengths: dict[str, int] = {}
        self._prompts: dict[int, float] = {}

    def prompt(self, card: Card) -> float:
        """Operations for a prompt of the length of the dataset's longest."""
        if card.name not in self._lengths:
            texts = [card.template.format(name) for name in card.class_names]
            self._lengths[card.name] = max(self._backbone.token_counts(texts), default=0) + 2
        length = self._lengths[card.name]
        if length not in self._prompts:
            rows = torch.empty(1, length, self._backbone.text.width, device="meta")
            prompts = Prompts(rows, torch.empty(1, dtype=torch.int64, device="meta"))
            self._prompts[length] = _operations(lambda: self._backbone.text_tokens(prompts))
        return self._prompts[length]


def _operations(forward: Callable[[], object]) -> float:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        forward()
    return float(counter.get_total_flops())
