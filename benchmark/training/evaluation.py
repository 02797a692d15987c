"""Scores trained learners on test images: correct predictions per class, as exact counts.

Learners that are scored together share their batches: each batch is read, normalised and, if a learner needs it,
encoded by the frozen towers once for all of them. The predictions are bit-identical to those of a learner scored alone.
"""

import time
import traceback
from collections.abc import Mapping, Sequence
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
from promptarena.benchmark.training.outputs import WrongOutputError, check_finite, check_logits, check_name

BATCH = 100
"""Images per batch. It decides bits: matrix products of another batch size may differ in the last bits, and that can
change the prediction when two logits are nearly equal."""


@dataclass(frozen=True)
class Evaluated:
    """The outcome of one learner on one target.

    Args:
        scores: One score for each of the learner's readings.
        seconds: Wall-clock seconds: the learner's own, plus an equal share of the time for reading and encoding the
            images for all learners.
        images: The number of scored images.
    """

    scores: tuple[Score, ...]
    seconds: float
    images: int


def evaluate(
    learner: Learner, target: Target, classes: Classes, test: Examples, all_classes: int, cache: ArrayCache
) -> Evaluated:
    """Score one learner; see `evaluate_together` for the arguments.

    Raises:
        Exception: Whatever the learner raised, e.g. CannotTransferError when it cannot score these classes.
    """
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
    """Score learners of one backbone in one pass over the test images.

    The prediction is the class with the largest logit, the first one of equals. A learner that raises does not disturb
    the others.

    Args:
        learners: Learners that share a backbone.
        target: The dataset and the subset of its classes; only images of these classes are scored.
        classes: The C classes of the subset, in label order; predictions are among these.
        test: All N test images of the dataset, labels (N,) int64 in 0 .. all_classes - 1.
        all_classes: The number of classes of the dataset.
        cache: The cache of images and frozen features.

    Returns:
        For each learner its scores, or the exception that it raised.
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
    """A learner during the pass: its predictions and seconds so far, or the exception that it raised."""

    def __init__(self, learner: Learner) -> None:
        self._learner = learner
        self._classifier: Any = None
        self._classes = 0
        self._predictions: dict[str, list[np.ndarray]] = {}
        self._seconds = 0.0
        self._error: Exception | None = None

    def begin(self, classes: Classes) -> None:
        started = time.perf_counter()
        self._classes = len(classes)
        self._learner.eval()
        try:
            self._classifier = self._learner.classifier(self._learner.prompts(classes))
        except Exception as error:
            self._fail(error)
        self._seconds += time.perf_counter() - started

    def score(self, images: ViewBatch) -> None:
        if self._error is not None:
            return
        # Reading and encoding is shared by all learners, so its time is subtracted from that of the learner that
        # happened to need it first.
        started, others = time.perf_counter(), images.seconds
        try:
            for reading, predicted in self._read(images).items():
                self._predictions.setdefault(reading, []).append(predicted)
        except Exception as error:
            self._fail(error)
        self._seconds += time.perf_counter() - started - (images.seconds - others)

    def _read(self, images: ViewBatch) -> dict[str, np.ndarray]:
        """The predictions (B,) of each reading. Raises an error for what cannot be scored: the largest of logits that
        are NaN would be the first class."""
        readings: Any = self._learner.readings(images, self._classifier)
        if not isinstance(readings, Mapping) or "" not in readings:
            raise WrongOutputError("readings has no logits of the method itself, under the name ''")
        if self._predictions and readings.keys() != self._predictions.keys():
            raise WrongOutputError(f"readings gave {[*readings]} for a batch, but {[*self._predictions]} before")
        predicted = {}
        for reading, logits in readings.items():
            if reading != "":
                check_name("reading", reading)
            check_logits(logits, (len(images), self._classes))
            check_finite("logits", logits)
            predicted[reading] = logits.argmax(-1).cpu().numpy()
        return predicted

    def _fail(self, error: Exception) -> None:
        traceback.clear_frames(error.__traceback__)  # the kept error would keep its frames' tensors in memory
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
