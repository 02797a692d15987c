"""Few-shot draws: which images of a dataset a run trains on.

The rule is CoOp's, so that a published draw is repeated exactly: the labels are walked in the order in which they first
appear, each gives a sample without replacement, and validation follows in the same random stream. The draw is over all
classes and knows nothing of method or protocol; a base or novel run keeps the part of it that it needs (`restrict`).
"""

import random
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from promptarena.benchmark.core.runs import Subset
from promptarena.benchmark.core.subsets import subset_labels

IntArray = npt.NDArray[np.int64]

VAL_SHOTS = 4
"""At most this many validation images are drawn per class."""


class Draw(NamedTuple):
    """Positions in the train and in the val list, in the order drawn: int64, at most shots (or VAL_SHOTS) per class."""

    train: IntArray
    val: IntArray


class Restricted(NamedTuple):
    """The rows of a subset, both (M,) int64: positions in the whole list, and labels counted from 0 in the subset."""

    rows: IntArray
    labels: IntArray


def draw_few_shot(train: Sequence[int] | IntArray, val: Sequence[int] | IntArray, shots: int, seed: int) -> Draw:
    """`shots` images per class of `train` and min(shots, VAL_SHOTS) of `val`.

    Both lists are given as the labels of all their rows, in order; `val` may be empty. A class with fewer images gives
    all of them, in order. The result depends on nothing else.
    """
    stream = random.Random(seed)
    drawn = _draw(stream, train, shots)
    return Draw(drawn, _draw(stream, val, min(shots, VAL_SHOTS)))


def restrict(labels: IntArray, subset: Subset, classes: int) -> Restricted:
    """The rows, of a list with these (N,) labels in 0..classes-1, whose class is in `subset`, in their order."""
    kept = subset_labels(subset, classes)
    rows = np.flatnonzero((labels >= kept.start) & (labels < kept.stop))
    return Restricted(rows, labels[rows] - kept.start)


def _draw(stream: random.Random, labels: Sequence[int] | IntArray, shots: int) -> IntArray:
    rows_of: dict[int, list[int]] = {}
    for row, label in enumerate(np.asarray(labels).tolist()):
        rows_of.setdefault(label, []).append(row)
    drawn = [row for rows in rows_of.values() for row in (stream.sample(rows, shots) if len(rows) >= shots else rows)]
    return np.array(drawn, dtype=np.int64)
