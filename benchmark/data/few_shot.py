"""Few-shot splits: which images of a dataset a run trains on.

The rule is CoOp's, so that the published few-shot splits are reproduced exactly: classes are taken in the order in
which their labels first appear, each gives a sample without replacement, and validation follows in the same random
stream. The split covers all classes and depends on neither method nor protocol; a base or novel run keeps the part that
it needs (`restrict`).
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
    """Positions in the train and val lists, in the order drawn: int64, at most shots (or VAL_SHOTS) per class."""

    train: IntArray
    val: IntArray


class Restricted(NamedTuple):
    """The rows of a subset, both (M,) int64: positions in the whole list, and labels counted from 0 in the subset."""

    rows: IntArray
    labels: IntArray


def draw_few_shot(train: Sequence[int] | IntArray, val: Sequence[int] | IntArray, shots: int, seed: int) -> Draw:
    """Draw a few-shot split.

    Args:
        train: The labels of all training images, in order.
        val: The labels of all validation images, in order; may be empty.
        shots: Images per class of `train`; of `val`, min(shots, VAL_SHOTS) per class are drawn.
        seed: The seed.

    Returns:
        The positions of the drawn images. A class with fewer images gives all of them, in order. The result depends on
        nothing but the arguments.
    """
    stream = random.Random(seed)
    drawn = _draw(stream, train, shots)
    return Draw(drawn, _draw(stream, val, min(shots, VAL_SHOTS)))


def restrict(labels: IntArray, subset: Subset, classes: int) -> Restricted:
    """Keep the images of a subset of classes.

    Args:
        labels: (N,) int64 in 0 .. classes - 1.
        subset: The classes to keep.
        classes: The number of classes of the dataset.

    Returns:
        The positions of the M images that are kept, in their order, and their labels within the subset.
    """
    kept = subset_labels(subset, classes)
    rows = np.flatnonzero((labels >= kept.start) & (labels < kept.stop))
    return Restricted(rows, labels[rows] - kept.start)


def _draw(stream: random.Random, labels: Sequence[int] | IntArray, shots: int) -> IntArray:
    rows_of: dict[int, list[int]] = {}
    for row, label in enumerate(np.asarray(labels).tolist()):
        rows_of.setdefault(label, []).append(row)
    drawn = [row for rows in rows_of.values() for row in (stream.sample(rows, shots) if len(rows) >= shots else rows)]
    return np.array(drawn, dtype=np.int64)
