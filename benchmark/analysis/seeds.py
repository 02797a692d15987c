"""The seeds of a method: how often do they agree, and how good are they together?"""

from collections.abc import Sequence
from itertools import combinations
from statistics import fmean

import numpy as np
import numpy.typing as npt

from promptarena.benchmark.analysis import names
from promptarena.benchmark.analysis.subjects import Figures, Floats, SeedsSubject
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.predictions import Predictions
from promptarena.benchmark.leaderboard.model import Column


def agreement(found: Sequence[Predictions]) -> float:
    """The share of images (0 to 1) for which two learners predict the same class, mean over all pairs of them."""
    return fmean(float((one.top[:, 0] == other.top[:, 0]).mean()) for one, other in combinations(found, 2))


def ensemble(found: Sequence[Predictions]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Whether the mean of the probabilities of several learners is largest for the label.

    Only the five largest probabilities and the label's are kept. Of any other class it is known that it is at most the
    fifth, and at most what the kept ones leave of 1. That decides nearly all images.

    Args:
        found: The predictions of S learners for the same N images among the same C classes.

    Returns:
        (N,) whether the label certainly is the prediction, and (N,) whether what is kept does not decide it.
    """
    labels = found[0].labels
    candidates = np.concatenate([each.top for each in found], axis=1)
    of_label, left = np.zeros(len(labels)), np.zeros(len(labels))
    low = np.zeros(candidates.shape)
    high = np.zeros(candidates.shape)
    for each in found:
        kept = np.exp(each.logits.astype(np.float64) - each.log_sum_exp[:, None])
        own = np.exp(each.label_logit.astype(np.float64) - each.log_sum_exp)
        rest = _rest(each, kept, own)
        same = candidates[:, :, None] == each.top[:, None, :]
        known = same.any(axis=2)
        probability = (same * kept[:, None, :]).sum(axis=2)
        low += probability
        high += np.where(known, probability, rest[:, None])
        of_label += own
        left += rest
    other = candidates != labels[:, None]
    most = np.where(other, high, left[:, None]).max(axis=1)  # `left`: classes that no learner has among its largest
    least = np.where(other, low, 0.0).max(axis=1)
    # Two sums of the same probabilities may differ by rounding; then nothing is decided either.
    margin = 1e-9 * len(found)
    right = of_label > most + margin
    return right, ~right & (of_label >= least - margin)


def _rest(each: Predictions, kept: Floats, own: Floats) -> Floats:
    """(N,) the largest probability that a class can have which is neither among the kept ones nor the label."""
    if kept.shape[1] == len(each.classes):
        return np.zeros(len(kept))
    label_is_kept = (each.top == each.labels[:, None]).any(axis=1)
    mass = 1 - kept.sum(axis=1) - np.where(label_is_kept, 0.0, own)
    return np.asarray(np.clip(np.minimum(kept[:, -1], mass), 0.0, None))


def _measure(found: Sequence[Predictions]) -> Figures:
    first = found[0]
    for each in found[1:]:
        if not (np.array_equal(each.images, first.images) and each.classes == first.classes):
            raise UserError(
                f"predictions for {first.target.dataset}/{first.target.subset} are of different images; leave out "
                "the method with --methods"
            )
    right, undecided = ensemble(found)
    alone = fmean(float(each.right.mean()) for each in found)
    return 100 * agreement(found), 100 * alone, 100 * float(right.mean()), 100 * float(undecided.mean())


SEEDS = SeedsSubject(
    name=names.SEEDS,
    title="seeds together",
    caption=(
        "Agreement: images for which two seeds predict the same class, mean over pairs of seeds. Alone: mean accuracy "
        "of the seeds. Ensemble: images that the mean of their probabilities certainly gets right; Open: images that "
        "the kept probabilities do not decide."
    ),
    columns=(
        Column("agreement_pct", "Agreement"),
        Column("alone_pct", "Alone"),
        Column("ensemble_pct", "Ensemble"),
        Column("undecided_pct", "Open"),
    ),
    measure=_measure,
)
