"""Scores of learners of base classes that choose among all names: how base and novel images fare, and whether the
learner can separate them. All are exact counts.
"""

import numpy as np
import numpy.typing as npt

from promptarena.benchmark.core.predictions import Predictions
from promptarena.benchmark.core.runs import Score
from promptarena.benchmark.core.subsets import base_classes

Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


def base_score(found: Predictions) -> Floats:
    """How much an image looks like a base class.

    Args:
        found: Predictions with `halves`.

    Returns:
        (N,) the natural logarithm of the largest probability of a base class, by a softmax over all names.
    """
    assert found.halves is not None
    return found.halves.base_logit.astype(np.float64) - found.log_sum_exp


def half_points(base: Floats, novel: Floats) -> int:
    """Compare every base image with every novel image.

    Args:
        base: (A,) scores of base images.
        novel: (B,) scores of novel images.

    Returns:
        Over all A * B pairs, 2 if the base image has the larger score, 1 if both are equal. Divided by 2 A B it is the
        area under the ROC curve.
    """
    ordered = np.sort(novel)
    below = np.searchsorted(ordered, base, side="left").sum(dtype=np.int64)
    not_above = np.searchsorted(ordered, base, side="right").sum(dtype=np.int64)
    return int(below + not_above)


def union_scores(found: Predictions) -> tuple[Score, ...]:
    """The scores that follow from predictions for the target "union".

    Args:
        found: The predictions, with `halves`.

    Returns:
        A score for each of `Target.parts`, the union's own first. Of pairs, `correct` are half points (see
        `half_points`): for AUROC of all pairs, for OpenworldAUC of those in which both images are right among the
        classes of their own half. `total` is twice the number of all pairs in both.
    """
    assert found.halves is not None
    correct, total = found.counts()
    split = len(base_classes(len(found.classes)))
    is_base, in_half, score = found.labels < split, found.halves.rank == 1, base_score(found)
    pairs = 2 * int(is_base.sum()) * int((~is_base).sum())

    def points(counted: Flags) -> tuple[int, ...]:
        return (half_points(score[is_base & counted], score[~is_base & counted]),)

    counts = (
        (correct, total),
        (correct[:split], total[:split]),
        (correct[split:], total[split:]),
        (points(np.ones_like(is_base)), (pairs,)),
        (points(in_half), (pairs,)),
    )
    parts = found.target.parts
    return tuple(Score(part, *count, found.reading) for part, count in zip(parts, counts, strict=True))
