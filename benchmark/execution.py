"""Carrying out planned runs in one process: build the learner, train it, score it, and keep what it learned."""

import json
import platform
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import torch
from filelock import FileLock
from safetensors import SafetensorError

from promptarena.benchmark.backbone import Backbone, Precision
from promptarena.benchmark.cache import ArrayCache
from promptarena.benchmark.errors import UserError
from promptarena.benchmark.evaluation import evaluate
from promptarena.benchmark.examples import Data
from promptarena.benchmark.keys import generator
from promptarena.benchmark.learned import LEARNED, Learned
from promptarena.benchmark.memory import PeakMemory
from promptarena.benchmark.method import CannotTransferError, Classes, Learner
from promptarena.benchmark.recipe import Recipe
from promptarena.benchmark.registry import load_registry
from promptarena.benchmark.spec import Cost, PlannedRun, RunResult, Score, Target
from promptarena.benchmark.suites import load_suite
from promptarena.benchmark.training import Curve, Task, images_seen, train
from promptarena.benchmark.weights import load_backbone

PACKAGES = ("promptarena", "torch", "torchvision", "open_clip_torch", "numpy", "pillow", "mlflow")


@dataclass(frozen=True)
class Workplace:
    """Where and how a process works; plain values, so that it can be sent to a worker.

    `threads` is the number of CPU threads of one run. It is fixed, not taken from the machine, because the last bits
    of a matrix product depend on it; runs, not threads, fill the cores.
    """

    suite: str
    results: Path
    cache: Path
    data_root: Path | None = None
    plugins: tuple[Path, ...] = ()
    device: str = "auto"
    precision: Precision = "fp32"
    threads: int = 1


class Executor:
    """Carries out runs one after the other, sharing one backbone, one cache and the listed datasets."""

    def __init__(self, workplace: Workplace) -> None:
        torch.set_num_threads(workplace.threads)
        self._place = workplace
        self._suite = load_suite(workplace.suite)
        self._registry = load_registry(workplace.plugins)
        self._data = Data(workplace.data_root)
        self._cache = ArrayCache(workplace.cache)

    @cached_property
    def _backbone(self) -> Backbone:
        source = self._suite.backbone
        return load_backbone(
            source.config or source.architecture or "",
            source.weights or source.pretrained or "",
            device=self._place.device,
            precision=self._place.precision,
        )

    def run(self, planned: PlannedRun, on_epoch: Callable[[Curve], None]) -> RunResult:
        """Train (or go on, or take over the finished training of the same train_key) and score on every target.

        Raises UserError for the user's mistakes; whatever else a method raises passes through.
        """
        folder = training_folder(self._place.results, planned)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder / "lock")
            lock.acquire()
        except OSError as error:
            raise UserError(f"cannot write {folder}: {error.strerror}; choose another --results") from error
        try:
            return self._run(planned, folder, on_epoch)
        finally:
            lock.release()

    def _run(self, planned: PlannedRun, folder: Path, on_epoch: Callable[[Curve], None]) -> RunResult:
        spec, recipe, memory = planned.spec, Recipe(**planned.recipe), PeakMemory(self._backbone.device)
        card = self._suite.card(spec.dataset)
        seed = spec.seed or 0
        drawn, val = self._data.few_shot(card, spec.subset, spec.shots, seed)
        task = Task(self._data.classes(card, spec.subset, "train"), drawn, val, seed)
        learner = self._learner(planned, task.classes)
        trained = train(
            learner,
            recipe,
            task,
            cache=self._cache,
            checkpoint=folder / "checkpoint.safetensors",
            train_key=planned.train_key,
            on_epoch=on_epoch,
        )
        scores: list[Score] = []
        unscored: dict[Target, str] = {}
        seconds, images = 0.0, 0
        for target in spec.targets:
            target_card = self._suite.card(target.dataset)
            classes = self._data.classes(target_card, target.subset, "test")
            test = self._data.test(target_card)
            everything = len(self._data.classes(target_card, "all", "test"))
            try:
                evaluated = evaluate(learner, target, classes, test, everything, self._cache)
            except CannotTransferError as error:
                unscored[target] = str(error)
                continue
            scores.extend(evaluated.scores)
            seconds += evaluated.seconds
            images += evaluated.images
        return RunResult(
            scores=tuple(scores),
            cost=Cost(
                trainable_parameters=sum(parameter.numel() for parameter in learner.parameters()),
                train_seconds=trained.train_seconds,
                train_images=images_seen(recipe, len(drawn.labels)) if learner.seeded else 0,
                eval_seconds=seconds,
                eval_images=images,
                peak_memory_mib=memory.mib(),
            ),
            curves=trained.curves,
            unscored=unscored,
            files=_kept(folder, planned, learner, task),
            environment=environment(self._backbone, self._place.threads),
        )

    def _learner(self, planned: PlannedRun, classes: Classes) -> Learner:
        learner = self._registry.get(planned.spec.method).learner
        drawn = int(generator("init", planned.spec.method, planned.spec.seed).integers(2**63))
        config = learner.config_type.model_validate(dict(planned.config))
        return learner(self._backbone, config, classes, torch.Generator().manual_seed(drawn))


def training_folder(results: Path, planned: PlannedRun) -> Path:
    """Where a training keeps its checkpoint until every run that shares it is recorded."""
    return results / "checkpoints" / planned.train_key


def environment(backbone: Backbone, threads: int) -> dict[str, str]:
    """What the figures were made with: versions, machine and device."""
    device = backbone.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": f"{device.type}: {name}",
        "cpu_threads": str(threads),
        "backbone": backbone.name,
    } | {package: version(package) for package in PACKAGES}


def _kept(folder: Path, planned: PlannedRun, learner: Learner, task: Task) -> dict[str, Path]:
    """The artifacts of a run: the trained tensors with what is needed to load them, and the drawn images."""
    learned, split = folder / LEARNED, folder / "split.json"
    drawn = task.train
    rows = [[drawn.images.key(row), int(label)] for row, label in enumerate(drawn.labels)]
    source = str(planned.provenance["method_source"])
    try:
        Learned.of(learner, task.classes, planned.spec.method, source).save(learned)
        split.write_text(json.dumps(rows, indent=0))
    except (OSError, SafetensorError) as error:
        raise UserError(f"cannot write to {folder}: {error}; free space or choose another --results") from error
    return {learned.name: learned, split.name: split}
