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
from promptarena.benchmark.spec import Score, Target

BATCH = 100


@dataclass(frozen=True)
class Evaluated:
    """A score with the wall-clock seconds it took and the number of images scored."""

    score: Score
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
    predictions = np.empty(len(rows), dtype=np.int64)
    learner.eval()
    with torch.inference_mode(), learner.backbone.autocast():
        classifier = learner.classifier(learner.prompts(classes))
        for start in range(0, len(rows), BATCH):
            logits = learner.logits(view.batch(rows[start : start + BATCH].tolist()), classifier)
            predictions[start : start + BATCH] = logits.argmax(-1).cpu().numpy()
    learner.train()
    right = np.bincount(labels[predictions == labels], minlength=len(classes))
    total = np.bincount(labels, minlength=len(classes))
    score = Score(target, tuple(right.tolist()), tuple(total.tolist()))
    return Evaluated(score, time.perf_counter() - started, len(rows))
