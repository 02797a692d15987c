"""Whole runs, five methods by three seeds, each compared with a naive run.

Ours are really run: training and both evaluations as the harness does them, one after the other in one process with
one cache. The times of naive runs are added up from measured parts, because they would take hours: two process starts
(training, and the evaluation on novel classes, are commands of their own in the published code), the teacher's texts,
epochs times steps times a step with decoding, and two evaluations with texts in each batch.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import save_file

from promptarena.benchmark.cli.commands.terminal import console
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.recipe import Recipe
from promptarena.benchmark.core.runs import Subset, Target
from promptarena.benchmark.inputs.array_cache import ArrayCache
from promptarena.benchmark.inputs.transforms import Augmentation
from promptarena.benchmark.inputs.views import PixelBatch, View
from promptarena.benchmark.training.evaluation import evaluate
from promptarena.benchmark.training.loop import train
from promptarena.benchmark.training.shots import Task, batches
from promptarena.methods.promptsrc import TEACHER_TEMPLATES
from tools.speed.report import Report
from tools.speed.runs_table import Method, Plan, Run, show
from tools.speed.steps import Side
from tools.speed.world import World, examples

START_NAIVE = """
import sys, pathlib, torch, torchvision, open_clip
name = sys.argv[1]
from safetensors.torch import load_file
from promptarena.benchmark.backbone.architectures import find_architecture
architecture = pathlib.Path(name) if name.endswith(".json") else name
find_architecture(architecture).build("cpu").load_state_dict(load_file(sys.argv[2]))
"""
START_OURS = """
import sys, pathlib
name = sys.argv[1]
from promptarena.benchmark.running.runner import Runner
from promptarena.benchmark.backbone.loading import load_backbone
load_backbone(pathlib.Path(name) if name.endswith(".json") else name, pathlib.Path(sys.argv[2]))
"""


class Starts(NamedTuple):
    """Seconds of a process start with the model loaded: as in published code, and with all that ours imports."""

    naive: float
    ours: float


def process_starts(world: World, architecture: str | Path) -> Starts:
    """Measured once each, with the weights in a file."""
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "clip.safetensors"
        save_file(world.ours.model.state_dict(), weights)
        _start(START_NAIVE, architecture, weights)
        return Starts(*(_seconds(partial(_start, code, architecture, weights)) for code in (START_NAIVE, START_OURS)))


def runs(world: World, starts: Starts, methods: Sequence[str], plan: Plan, report: Report) -> None:
    """Measure and print."""
    measured: list[Method] = []
    with tempfile.TemporaryDirectory() as folder:
        cache = ArrayCache(Path(folder) / "cache")
        for name in methods:
            recipe = plan.recipe(name, augment=False)
            steps = recipe.steps(plan.images)
            found = Method(name, recipe.epochs, steps, {"start": starts.naive, **_naive(world, name, plan)})
            for seed in range(1, plan.seeds + 1):
                found.repeated.append(_run(world, name, plan, recipe, seed, cache, Path(folder)))
            once = plan.recipe(name, augment=True).model_copy(update={"epochs": 1})
            found.fresh_epoch = _run(world, name, plan, once, 1, cache, Path(folder), evaluated=False).training
            measured.append(found)
            console(stderr=True).print(_line(found))
    show(measured, starts.ours, plan, report)


def _line(found: Method) -> str:
    parts = ", ".join(f"{name} {seconds:.2f}" for name, seconds in found.naive.items())
    own = ", ".join(f"{run.training:.1f}+{run.evaluation:.1f}" for run in found.repeated)
    return f"{found.name}: naive {parts}; ours {own}; with augmentation, an epoch {found.fresh_epoch:.1f}"


def _seconds(work: Callable[[], object]) -> float:
    """CPU seconds of this process and of those it has started and ended."""
    before = _used()
    work()
    return _used() - before


def _used() -> float:
    ended = os.times()
    return time.process_time() + ended.children_user + ended.children_system


def _start(code: str, architecture: str | Path, weights: Path) -> None:
    subprocess.run([sys.executable, "-c", code, str(architecture), str(weights)], check=True)


def _naive(world: World, method: str, plan: Plan) -> dict[str, float]:
    templates = TEACHER_TEMPLATES[: plan.naive_templates]
    settings = {"teacher_templates": templates} if method == "promptsrc" else {}
    learner = world.learner(method, plan.base, naive=True, **settings)
    recipe, shots = plan.recipe(method, augment=True), plan.train(1)
    rows = batches(len(shots.labels), recipe, 1, 1)[0]
    random = Augmentation(1, 1, recipe.crop_scale)
    with tempfile.TemporaryDirectory() as folder:
        view = View(shots.images, world.naive, ArrayCache(Path(folder)), random)
        labels = torch.from_numpy(shots.labels[rows])
        sides: list[Side] = []
        prompts = _seconds(lambda: sides.append(Side(learner, plan.base, lambda: view.plain(rows.tolist()), labels)))
        step = float(np.median([_seconds(sides[0].step) for _ in range(plan.naive_steps)]))
        half = examples("naive test", plan.test // 2, len(plan.base))
        shown = View(half.images, world.naive, ArrayCache(Path(folder)))
        scored = Side(learner, plan.base, lambda: PixelBatch(shown.pixels(range(len(shown))), world.naive), labels)
        texts, images = _seconds(scored.texts), _seconds(scored.scores)
    if settings:
        prompts *= len(TEACHER_TEMPLATES) / len(templates)
    return {"prompts": prompts, "step": step, "texts": texts, "images": images}


def _run(
    world: World,
    method: str,
    plan: Plan,
    recipe: Recipe,
    seed: int,
    cache: ArrayCache,
    folder: Path,
    *,
    evaluated: bool = True,
) -> Run:
    learner = world.learner(method, plan.base, seed=seed)
    task = Task(plan.base, plan.train(seed), examples("val", 0, len(plan.base)), seed)
    file = folder / f"{method} {seed} {recipe.augment}.safetensors"
    training = _seconds(
        lambda: train(learner, recipe, task, cache=cache, checkpoint=file, train_key="", on_epoch=lambda _: None)
    )
    if not evaluated:
        return Run(training, 0.0)
    halves: dict[Subset, Classes] = {"base": plan.base, "novel": plan.novel}
    tests = plan.tests
    evaluation = _seconds(
        lambda: [
            evaluate(learner, Target("drawn", name), classes, tests, plan.classes, cache)
            for name, classes in halves.items()
        ]
    )
    return Run(training, evaluation)
