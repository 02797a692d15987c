"""Scoring trained learners on test images: right answers per class, nothing rounded.

Learners that are scored together see the same batches: each is read, normalised and, where a learner asks, encoded by
the frozen towers once for all of them. Their predictions are the same bits as when each is scored alone.
"""

import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.runs import Score, Target
from promptarena.benchmark.data.data_manager import Examples
from promptarena.benchmark.data.few_shot import restrict
from promptarena.benchmark.inputs.array_cache import ArrayCache
from promptarena.benchmark.inputs.prefetch import read_ahead
from promptarena.benchmark.inputs.views import View, ViewBatch
from promptarena.benchmark.plugins.learner import Learner

BATCH = 100


@dataclass(frozen=True)
class Evaluated:
    """A score for each of the learner's readings, the wall-clock seconds they took, and the number of images.

    The seconds are the learner's own and an equal share of those that reading and encoding for all took.
    """

    scores: tuple[Score, ...]
    seconds: float
    images: int


def evaluate(
    learner: Learner, target: Target, classes: Classes, test: Examples, all_classes: int, cache: ArrayCache
) -> Evaluated:
    """`evaluate_together` for one learner; raises what ended it, e.g. CannotTransferError when it has no classifier
    for these classes."""
    (outcome,) = evaluate_together([learner], target, classes, test, all_classes, cache)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def evaluate_together(
    learners: Sequence[Learner],
    target: Target,
    classes: Classes,
    test: Examples,
    all_classes: int,
    cache: ArrayCache,
) -> list[Evaluated | Exception]:
    """Score learners of one backbone in one pass over the test images whose class is in the target's subset, among the
    names `classes` of that subset.

    test: all test images with labels in 0 .. all_classes - 1. The prediction is the first largest logit. A learner that
    raises is given its exception instead of scores, and does not disturb the others.
    """
    rows, labels = restrict(test.labels, target.subset, all_classes)
    scored = [_Scored(learner) for learner in learners]
    if not scored:
        return []
    backbone, shared = learners[0].backbone, 0.0
    with torch.inference_mode(), backbone.autocast():
        for each in scored:
            each.begin(classes)
        steps = [rows[start : start + BATCH].tolist() for start in range(0, len(rows), BATCH)]
        for images in read_ahead(View(test.images, backbone, cache), steps):
            for each in scored:
                each.score(images)
            shared += images.seconds
    share = shared / len(scored)
    return [each.evaluated(target, labels, len(classes), share) for each in scored]


class _Scored:
    """A learner in a pass: what it predicted so far and the seconds that took, or the exception that ended it."""

    def __init__(self, learner: Learner) -> None:
        self._learner = learner
        self._classifier: Any = None
        self._predictions: dict[str, list[np.ndarray]] = {}
        self._seconds = 0.0
        self._error: Exception | None = None

    def begin(self, classes: Classes) -> None:
        started = time.perf_counter()
        self._learner.eval()
        try:
            self._classifier = self._learner.classifier(self._learner.prompts(classes))
        except Exception as error:
            self._fail(error)
        self._seconds += time.perf_counter() - started

    def score(self, images: ViewBatch) -> None:
        if self._error is not None:
            return
        started, others = time.perf_counter(), images.seconds
        try:
            for reading, logits in self._learner.readings(images, self._classifier).items():
                self._predictions.setdefault(reading, []).append(logits.argmax(-1).cpu().numpy())
        except Exception as error:
            self._fail(error)
        self._seconds += time.perf_counter() - started - (images.seconds - others)

    def _fail(self, error: Exception) -> None:
        traceback.clear_frames(error.__traceback__)  # or it would hold the memory that the others need
        self._error = error

    def evaluated(self, target: Target, labels: np.ndarray, classes: int, share: float) -> Evaluated | Exception:
        self._learner.train()
        if self._error is not None:
            return self._error
        total = np.bincount(labels, minlength=classes)
        scores = []
        for reading, predicted in self._predictions.items():
            right = np.bincount(labels[np.concatenate(predicted) == labels], minlength=classes)
            scores.append(Score(target, tuple(right.tolist()), tuple(total.tolist()), reading))
        return Evaluated(tuple(scores), self._seconds + share, len(labels))
