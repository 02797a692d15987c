"""The text tower alone, acceleration by acceleration, and how cost grows with classes and images."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from promptarena.benchmark.backbone.accelerations import ALL, PLAIN, Accelerations
from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.cli.commands.terminal import console
from promptarena.benchmark.inputs.array_cache import ArrayCache
from promptarena.benchmark.plugins.learner import Learner
from promptarena.benchmark.training.loop import train
from promptarena.benchmark.training.shots import Task
from tools.speed.measure import Timed, interleaved, once, ratio
from tools.speed.report import Report
from tools.speed.world import World, class_names, examples, recipe_of

CUMULATIVE = ("cut_texts", "share_beginnings", "read_rows", "pack_texts", "fold_quick_gelu")
EPOCHS = 2
"""Of a training whose images are counted."""
LARGEST_NAIVE = 100
"""Classes up to which the naive path is measured: its memory and time grow in proportion."""


def _pass(learner: Learner, classes: int) -> Callable[[], None]:
    prompts = learner.prompts(class_names(classes))

    def work() -> None:
        learner.text_features(prompts).square().sum().backward()

    return work


def text(world: World, classes: int, rounds: int, report: Report) -> None:
    """Forward and backward of CoOp's text side, the accelerations switched on one after the other."""
    rows = []
    for contexts in (16, 4):
        learners = {"naive": world.learner("coop", class_names(classes), naive=True, n_ctx=contexts)}
        exact = PLAIN
        for name in ("own blocks", *CUMULATIVE):
            exact = exact if name == "own blocks" else replace(exact, **{name: True})
            learners[name] = _with(world, exact, classes, contexts)
        learners["all (encode_in_parts)"] = _with(world, ALL, classes, contexts)
        timed = interleaved({name: _pass(learner, classes) for name, learner in learners.items()}, rounds)
        for name, found in timed.items():
            shown = "+ " + name if name in CUMULATIVE else name
            naive = timed["naive"]
            times = [f"{found.cpu_seconds:.3f}", str(ratio(naive.cpu, found.cpu)), str(ratio(naive.wall, found.wall))]
            times.append(f"{found.mib:.0f}")
            rows.append([str(contexts), shown, *times])
            console(stderr=True).print(" ".join(rows[-1]))
    report.show(
        "text",
        f"The text tower alone, {classes} classes, forward and backward",
        ["contexts", "cumulative", "CPU s", "CPU ratio", "wall ratio", "MiB"],
        rows,
        f"CoOp's prompts. Medians of {rounds} interleaved rounds; ratios of paired rounds, median and quartiles.",
    )


def _with(world: World, exact: Accelerations, classes: int, contexts: int) -> Learner:
    ours = world.ours
    backbone = Backbone(ours.model, ours.name, ours.digest, ours.device, ours.precision, accelerations=exact)
    return world.learner("coop", class_names(classes), backbone=backbone, n_ctx=contexts)


def growth(world: World, largest: int, rounds: int, report: Report, *, quick: bool) -> None:
    """Text side by classes, and a training by images with an empty and with a filled cache."""
    _classes(world, (10, largest) if quick else (10, 30, 100, 300, 1000), rounds, report)
    _images(world, (8, 16) if quick else (16, 32, 64, 128), report)


def _classes(world: World, counts: Sequence[int], rounds: int, report: Report) -> None:
    rows = []
    for method in ("coop", "maple"):
        for count in counts:
            works = {"ours": _pass(world.learner(method, class_names(count)), count)}
            if count <= LARGEST_NAIVE:
                works = {"naive": _pass(world.learner(method, class_names(count), naive=True), count), **works}
            timed = interleaved(works, rounds)
            ours, naive = timed["ours"], timed.get("naive")
            row = [method, str(count), "-", f"{ours.cpu_seconds:.2f}", "-", "-", "-", f"{ours.mib:.0f}"]
            if naive:
                ratios = str(ratio(naive.cpu, ours.cpu)), str(ratio(naive.wall, ours.wall))
                row[2], row[4:7] = f"{naive.cpu_seconds:.2f}", [*ratios, f"{naive.mib:.0f}"]
            rows.append(row)
            console(stderr=True).print(" ".join(rows[-1]))
    report.show(
        "growth_classes",
        "Growth with classes: the text side of a step, forward and backward",
        ["method", "classes", "naive CPU s", "ours CPU s", "CPU ratio", "wall ratio", "naive MiB", "ours MiB"],
        rows,
        f"Medians of {rounds} interleaved rounds. Naive is measured up to {LARGEST_NAIVE} classes.",
    )


def _images(world: World, counts: Sequence[int], report: Report) -> None:
    rows, names = [], class_names(10)
    for count in counts:
        timed = {name: Timed() for name in ("naive", "first", "next")}
        with tempfile.TemporaryDirectory() as folder:
            for name, run in timed.items():
                naive, seed = name == "naive", int(name == "next")
                shown = examples("growth", count, len(names))
                shown.images.image(0)  # draws all of them, which is not part of a training
                task = Task(names, shown, examples("val", 0, len(names)), seed)
                learner = world.learner("rada", names, naive=naive, seed=seed)
                cache = Path(folder) / ("naive" if naive else "ours")
                once(partial(_train, learner, task, cache, epochs=1 if naive else EPOCHS), run)
        naive_seconds, first, following = (run.cpu_seconds for run in timed.values())
        naive_seconds *= EPOCHS
        times = [f"{naive_seconds:.2f}", f"{first:.2f}", f"{naive_seconds / first:.1f}x", f"{following:.2f}"]
        rows.append([str(count), *times, f"{timed['first'].mib:.0f}"])
        console(stderr=True).print(" ".join(rows[-1]))
    report.show(
        "growth_images",
        f"Growth with images: RAda, 10 classes, {EPOCHS} epochs",
        ["training images", "naive CPU s", "first run CPU s", "CPU ratio", "next run CPU s", "MiB"],
        rows,
        "One round each. The first run decodes and encodes each image once; the next one, of another seed, on the same "
        f"images takes them from the cache. Naive: one epoch, which decodes and encodes each image, times {EPOCHS}.",
    )


def _train(learner: Learner, task: Task, folder: Path, *, epochs: int) -> None:
    recipe = recipe_of("rada").model_copy(update={"epochs": epochs, "augment": False, "batch_size": 8})
    file = folder / f"{task.seed}.safetensors"
    train(learner, recipe, task, cache=ArrayCache(folder), checkpoint=file, train_key="", on_epoch=lambda _: None)
