"""Scores trained learners on test images: correct predictions per class, as exact counts, and what was predicted.

Learners that are scored together share their batches: each batch is read, normalised and, if a learner needs it,
encoded by the frozen towers once for all of them. The predictions are bit-identical to those of a learner scored alone.
"""

import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.errors import printable
from promptarena.benchmark.core.open_world import union_scores
from promptarena.benchmark.core.predictions import Predictions
from promptarena.benchmark.core.runs import Score, Target
from promptarena.benchmark.core.subsets import base_classes
from promptarena.benchmark.data.data_manager import Examples
from promptarena.benchmark.data.few_shot import restrict
from promptarena.benchmark.inputs.array_cache import ArrayCache
from promptarena.benchmark.inputs.prefetch import read_ahead
from promptarena.benchmark.inputs.views import View, ViewBatch
from promptarena.benchmark.plugins.learner import Learner
from promptarena.benchmark.training.outputs import WrongOutputError, check_finite, check_logits, check_name
from promptarena.benchmark.training.predicting import Collector

BATCH = 100
"""Images per batch. It decides bits: matrix products of another batch size may differ in the last bits, and that can
change the prediction when two logits are nearly equal."""


@dataclass(frozen=True)
class Evaluated:
    """The outcome of one learner on one target.

    Args:
        scores: For each of the learner's readings one score; for the target "union" one for each of its parts.
        seconds: Wall-clock seconds: the learner's own, plus an equal share of the time for reading and encoding the
            images for all learners.
        images: The number of scored images.
        predictions: What was predicted, for each of the learner's readings; empty where that was not asked for.
    """

    scores: tuple[Score, ...]
    seconds: float
    images: int
    predictions: tuple[Predictions, ...] = ()


def evaluate(
    learner: Learner,
    target: Target,
    classes: Classes,
    test: Examples,
    all_classes: int,
    cache: ArrayCache,
    *,
    keep: bool = False,
) -> Evaluated:
    """Score one learner; see `evaluate_together` for the arguments.

    Raises:
        Exception: Whatever the learner raised, e.g. CannotTransferError when it cannot score these classes.
    """
    (outcome,) = evaluate_together([learner], target, classes, test, all_classes, cache, keep=keep)
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
    *,
    keep: bool = False,
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
        keep: Whether to keep what was predicted.

    Returns:
        For each learner its scores, or the exception that it raised.
    """
    rows, labels = restrict(test.labels, target.subset, all_classes)
    if not learners:
        return []
    backbone, shared = learners[0].backbone, 0.0
    kept = keep or target.subset == "union"
    on_device = torch.from_numpy(labels).to(backbone.device) if kept else None
    base = len(base_classes(len(classes))) if target.subset == "union" else None
    scored = [_Scored(learner, on_device, base) for learner in learners]
    with torch.inference_mode(), backbone.autocast():
        for each in scored:
            each.begin(classes)
        steps = [rows[start : start + BATCH].tolist() for start in range(0, len(rows), BATCH)]
        for images in read_ahead(View(test.images, backbone, cache), steps):
            for each in scored:
                each.score(images)
            shared += images.seconds
    share = shared / len(scored)
    keys = np.array([printable(test.images.key(int(row))) for row in rows] if kept else [], dtype=np.str_)
    outcomes = [each.evaluated(target, labels, classes, share, keys) for each in scored]
    return outcomes if keep else [_without_predictions(outcome) for outcome in outcomes]


def _without_predictions(outcome: Evaluated | Exception) -> Evaluated | Exception:
    return replace(outcome, predictions=()) if isinstance(outcome, Evaluated) else outcome


class _Scored:
    """A learner during the pass: its predictions and seconds so far, or the exception that it raised. Given the labels
    on its device, it keeps what `Predictions` has of its logits; `base` is as for `Collector`."""

    def __init__(self, learner: Learner, labels: Tensor | None, base: int | None) -> None:
        self._learner = learner
        self._labels = labels
        self._base = base
        self._collected: dict[str, Collector] = {}
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
            if self._labels is not None:
                if reading not in self._collected:
                    self._collected[reading] = Collector(self._labels, self._classes, self._base)
                self._collected[reading].add(logits)
        return predicted

    def _fail(self, error: Exception) -> None:
        traceback.clear_frames(error.__traceback__)  # the kept error would keep its frames' tensors in memory
        self._error = error

    def evaluated(
        self, target: Target, labels: np.ndarray, classes: Classes, share: float, keys: np.ndarray
    ) -> Evaluated | Exception:
        self._learner.train()
        if self._error is not None:
            return self._error
        started = time.perf_counter()
        total = np.bincount(labels, minlength=len(classes))
        scores = []
        for reading, predicted in self._predictions.items():
            right = np.bincount(labels[np.concatenate(predicted) == labels], minlength=len(classes))
            scores.append(Score(target, tuple(right.tolist()), tuple(total.tolist()), reading))
        kept = tuple(
            collected.predictions(target, reading, classes.names, keys)
            for reading, collected in self._collected.items()
        )
        if target.subset == "union":
            scores = [score for found in kept for score in union_scores(found)]
        self._seconds += time.perf_counter() - started
        return Evaluated(tuple(scores), self._seconds + share, len(labels), kept)
