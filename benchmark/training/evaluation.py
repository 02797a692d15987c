"""Scores trained learners on test images: correct predictions per class, as exact counts, and what was predicted.

Learners that are scored together share their batches: each batch is read, normalised and, if a learner needs it,
encoded by the frozen towers once for all of them. The predictions are bit-identical to those of a learner scored alone.
Of N images and C classes, no more logits are held than those of a batch and of the `CHUNK` that is being reduced.
"""

import logging
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
from promptarena.benchmark.inputs.out_of_memory import does_not_fit
from promptarena.benchmark.inputs.pixel_batch import READING
from promptarena.benchmark.inputs.prefetch import read_ahead
from promptarena.benchmark.inputs.views import View, ViewBatch
from promptarena.benchmark.inputs.work_clock import WorkClock
from promptarena.benchmark.plugins.learner import Learner
from promptarena.benchmark.training.outputs import NotFiniteError, WrongOutputError, check_logits, check_name
from promptarena.benchmark.training.predicting import Collector

BATCH = 100
"""Images per batch. It decides bits: matrix products of another batch size may differ in the last bits, and that can
change the prediction when two logits are nearly equal."""

log = logging.getLogger(__name__)


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
    backbone = learners[0].backbone
    clock = WorkClock(backbone.device)
    kept = keep or target.subset == "union"
    on_device = torch.from_numpy(labels).to(backbone.device) if kept else None
    base = len(base_classes(len(classes))) if target.subset == "union" else None
    scored = [_Scored(learner, len(rows), on_device, base, clock) for learner in learners]
    with torch.inference_mode(), backbone.autocast():
        for each in scored:
            each.begin(classes)
        steps = [rows[start : start + BATCH].tolist() for start in range(0, len(rows), BATCH)]
        for images in read_ahead(View(test.images, backbone, cache, clock=clock), steps):
            for each in scored:
                each.score(images)
    keys = np.array([printable(test.images.key(int(row))) for row in rows] if kept else [], dtype=np.str_)
    ended = [each.end(target, labels, classes, keys) for each in scored]
    spent = clock.seconds()
    share = spent.get(READING, 0.0) / len(scored)
    outcomes = [
        replace(outcome, seconds=spent[each] + share) if isinstance(outcome, Evaluated) else outcome
        for each, outcome in zip(scored, ended, strict=True)
    ]
    return outcomes if keep else [_without_predictions(outcome) for outcome in outcomes]


def _without_predictions(outcome: Evaluated | Exception) -> Evaluated | Exception:
    return replace(outcome, predictions=()) if isinstance(outcome, Evaluated) else outcome


class _Scored:
    """A learner during the pass: its predictions so far, or the exception that it raised. Given the labels on its
    device, it keeps what `Predictions` has of its logits; `base` is as for `Collector`. Its time is charged to it.

    No batch reads a value back from the device, so that a GPU need not wait for the host between two of them."""

    def __init__(self, learner: Learner, count: int, labels: Tensor | None, base: int | None, clock: WorkClock) -> None:
        self._learner = learner
        self._count = count
        self._done = 0
        self._labels = labels
        self._base = base
        self._clock = clock
        self._most = BATCH
        self._collected: dict[str, Collector] = {}
        self._classifier: Any = None
        self._classes = 0
        self._predictions: dict[str, Tensor] = {}
        self._finite: Tensor | None = None
        self._error: Exception | None = None

    def begin(self, classes: Classes) -> None:
        self._classes = len(classes)
        self._learner.eval()
        with self._clock.charged_to(self):
            try:
                self._classifier = self._learner.classifier(self._learner.prompts(classes))
            except Exception as error:
                self._fail(error, f"encoding the texts of {len(classes)} classes")

    def score(self, images: ViewBatch) -> None:
        if self._error is not None:
            return
        with self._clock.charged_to(self):
            try:
                for part, readings in self._readings(images):
                    self._keep(part, readings)
            except Exception as error:
                self._fail(error, "scoring an image")

    def _readings(self, images: ViewBatch) -> list[tuple[ViewBatch, Any]]:
        """What the learner reads from a batch. If that does not fit into the device's memory, half as many images are
        read at a time, from then on."""
        while True:
            parts = images.parts(self._most)
            try:
                return [(part, self._learner.readings(part, self._classifier)) for part in parts]
            except torch.OutOfMemoryError as error:
                size = max(map(len, parts))
                if size == 1:
                    raise
                traceback.clear_frames(error.__traceback__)
            self._most = -(-size // 2)
            name = type(self._learner).__name__
            log.warning("%s: %d images do not fit into memory at once; going on with %d", name, size, self._most)

    def _keep(self, images: ViewBatch, readings: Any) -> None:
        """Keep the predictions of each reading. Raises an error for what cannot be scored."""
        if not isinstance(readings, Mapping) or "" not in readings:
            raise WrongOutputError("readings has no logits of the method itself, under the name ''")
        if self._predictions and readings.keys() != self._predictions.keys():
            raise WrongOutputError(f"readings gave {[*readings]} for a batch, but {[*self._predictions]} before")
        for reading, logits in readings.items():
            if reading != "":
                check_name("reading", reading)
            check_logits(logits, (len(images), self._classes))
            finite = logits.isfinite().all()
            self._finite = finite if self._finite is None else self._finite & finite
            if reading not in self._predictions:
                self._predictions[reading] = torch.empty(self._count, dtype=torch.int64, device=logits.device)
            self._predictions[reading][self._done : self._done + len(images)] = logits.argmax(-1)
            if self._labels is not None:
                if reading not in self._collected:
                    self._collected[reading] = Collector(self._labels, self._classes, self._base)
                self._collected[reading].add(logits)
        self._done += len(images)

    def _fail(self, error: Exception, what: str) -> None:
        traceback.clear_frames(error.__traceback__)  # the kept error would keep its frames' tensors in memory
        out_of_memory = isinstance(error, torch.OutOfMemoryError)
        self._error = does_not_fit(what, self._learner.backbone.device) if out_of_memory else error

    def end(self, target: Target, labels: np.ndarray, classes: Classes, keys: np.ndarray) -> Evaluated | Exception:
        """The outcome, still without its seconds."""
        self._learner.train()
        if self._error is not None:
            return self._error
        with self._clock.charged_to(self):
            return self._counted(target, labels, classes, keys)

    def _counted(self, target: Target, labels: np.ndarray, classes: Classes, keys: np.ndarray) -> Evaluated | Exception:
        # The largest of logits that are NaN would be the first class.
        if self._finite is not None and not bool(self._finite):
            return NotFiniteError("logits are not finite")
        total = np.bincount(labels, minlength=len(classes))
        scores = []
        for reading, found in self._predictions.items():
            predicted = found.cpu().numpy()
            right = np.bincount(labels[predicted == labels], minlength=len(classes))
            scores.append(Score(target, tuple(right.tolist()), tuple(total.tolist()), reading))
        kept = tuple(
            collected.predictions(target, reading, classes.names, keys)
            for reading, collected in self._collected.items()
        )
        if target.subset == "union":
            scores = [score for each in kept for score in union_scores(each)]
        return Evaluated(tuple(scores), 0.0, len(labels), kept)
