"""Chooses the miniature's learning-rate multipliers, by accuracy on validation images of base classes.

    python -m tools.miniature.choose_rate --multipliers 5 10 25 50 100
    python -m tools.miniature.choose_rate --multipliers 0.3 1 3 10 --methods tcp mmrl rada

Published learning rates are tuned for CLIP's logit scale of 100, which the miniature's model does not have. All methods
trained by SGD share one multiplier, all trained by Adam or AdamW another; test images are never looked at.
"""

import argparse
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from tabulate import tabulate

from promptarena.benchmark.backbone.loading import load_backbone
from promptarena.benchmark.core.recipe import adapted
from promptarena.benchmark.core.runs import Target
from promptarena.benchmark.data.data_manager import Data, DatasetImages, Examples
from promptarena.benchmark.inputs.array_cache import ArrayCache, default_cache_folder
from promptarena.benchmark.planning.suites import load_suite
from promptarena.benchmark.plugins.registry import load_registry
from promptarena.benchmark.training.evaluation import evaluate
from promptarena.benchmark.training.loop import train
from promptarena.benchmark.training.shots import Task

Trial = tuple[float, str, str]
SEED = 1
MULTIPLIERS = ("lr_multiplier", "adaptive_lr_multiplier")


def base_validation_accuracy(trial: Trial) -> float:
    """Accuracy (0..1) on all validation images of the base classes; trial: multiplier, method, dataset."""
    torch.set_num_threads(1)
    multiplier, method, dataset = trial
    suite, data, cache = load_suite("mini"), Data(None), ArrayCache(default_cache_folder())
    source = suite.backbone
    backbone = load_backbone(source.given_architecture, source.given_weights)
    card = suite.card(dataset)
    learner_type = load_registry().get(method).learner
    config, recipe = learner_type.preset(suite.task("base-to-novel", dataset, suite.shots))
    drawn, val = data.few_shot(card, "base", suite.shots, SEED)
    classes = data.classes(card, "base", "train")
    learner = learner_type(backbone, config, classes, torch.Generator().manual_seed(SEED))
    with tempfile.TemporaryDirectory() as folder:
        train(
            learner,
            adapted(
                recipe, len(drawn.labels), **suite.training.changes(method) | dict.fromkeys(MULTIPLIERS, multiplier)
            ),
            Task(classes, drawn, val, SEED),
            cache=cache,
            checkpoint=Path(folder) / "checkpoint.safetensors",
            train_key="choose_rate",
            on_epoch=lambda curve: None,
        )
    split = data.split(card, "val")
    everything = Examples(DatasetImages(card, split, np.arange(len(split))), split.labels)
    target = Target(dataset, "base")
    (score,) = evaluate(learner, target, classes, everything, len(split.class_names), cache).scores
    return sum(score.correct) / sum(score.total)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the mean over datasets for every method and multiplier, and their mean over methods."""
    suite = load_suite("mini")
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--multipliers", type=float, nargs="+", required=True)
    parser.add_argument("--methods", nargs="+", default=["coop", "maple"])
    parser.add_argument("--datasets", nargs="+", default=list(suite.datasets))
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args(arguments)
    trials = list(product(chosen.multipliers, chosen.methods, chosen.datasets))
    with ProcessPoolExecutor(chosen.workers, mp_context=get_context("spawn")) as pool:
        accuracy = dict(zip(trials, pool.map(base_validation_accuracy, trials), strict=True))
    rows = []
    for multiplier in chosen.multipliers:
        means = [
            100 * float(np.mean([accuracy[multiplier, method, dataset] for dataset in chosen.datasets]))
            for method in chosen.methods
        ]
        rows.append([multiplier, *means, float(np.mean(means))])
    print(tabulate(rows, headers=["multiplier", *chosen.methods, "mean"], floatfmt=".2f"))


if __name__ == "__main__":
    main()
