"""Scoring a trained learner on test images: right answers per class, nothing rounded."""

import time
from dataclasses import dataclass

import numpy as np
import torch

from promptarena.benchmark.cache import ArrayCache
from promptarena.benchmark.draws import restrict
from promptarena.benchmark.examples import Examples
from promptarena.benchmark.inputs import View
from promptarena.benchmark.method import Classes, Learner
from promptarena.benchmark.read_ahead import read_ahead
from promptarena.benchmark.spec import Score, Target

BATCH = 100


@dataclass(frozen=True)
class Evaluated:
    """A score for each of the learner's readings, the wall-clock seconds they took, and the number of images."""

    scores: tuple[Score, ...]
    seconds: float
    images: int


def evaluate(
    learner: Learner, target: Target, classes: Classes, test: Examples, all_classes: int, cache: ArrayCache
) -> Evaluated:
    """Score on the test images whose class is in the target's subset, among the names `classes` of that subset.

    test: all test images with labels in 0 .. all_classes - 1. The prediction is the first largest logit. Raises
    CannotTransferError when the learner has no classifier for these classes.
    """
    started = time.perf_counter()
    rows, labels = restrict(test.labels, target.subset, all_classes)
    view = View(test.images, learner.backbone, cache)
    predictions: dict[str, list[np.ndarray]] = {}
    learner.eval()
    with torch.inference_mode(), learner.backbone.autocast():
        classifier = learner.classifier(learner.prompts(classes))
        steps = [rows[start : start + BATCH].tolist() for start in range(0, len(rows), BATCH)]
        for images in read_ahead(view, steps):
            for reading, logits in learner.readings(images, classifier).items():
                predictions.setdefault(reading, []).append(logits.argmax(-1).cpu().numpy())
    learner.train()
    total = np.bincount(labels, minlength=len(classes))
    scores = []
    for reading, predicted in predictions.items():
        right = np.bincount(labels[np.concatenate(predicted) == labels], minlength=len(classes))
        scores.append(Score(target, tuple(right.tolist()), tuple(total.tolist()), reading))
    return Evaluated(tuple(scores), time.perf_counter() - started, len(rows))
