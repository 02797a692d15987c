"""Calibration: do the probabilities of a learner say how often it is right?"""

import numpy as np
import numpy.typing as npt

from promptarena.benchmark.analysis import names
from promptarena.benchmark.analysis.subjects import Floats, Subject, confidence
from promptarena.benchmark.core.predictions import Predictions
from promptarena.benchmark.leaderboard.model import Column

BINS = 15


def bins_of(sure: Floats, bins: int = BINS) -> npt.NDArray[np.int_]:
    """(N,) the bin of each probability, from 0: bin k holds ]k / bins, (k + 1) / bins]."""
    return np.asarray(np.clip(np.ceil(sure * bins).astype(int) - 1, 0, bins - 1))


def calibration_error(sure: Floats, right: npt.NDArray[np.bool_], bins: int = BINS) -> float:
    """The expected calibration error with bins of equal width (Guo et al., ICML 2017).

    Args:
        sure: (N,) the probability of each predicted class.
        right: (N,) whether it is the label.
        bins: The number of bins of `bins_of`.

    Returns:
        The sum over bins of |right predictions - sum of probabilities| / N, from 0 to 1.
    """
    place = bins_of(sure, bins)
    gaps = np.bincount(place, right.astype(float), bins) - np.bincount(place, sure, bins)
    return float(np.abs(gaps).sum() / len(sure))


def adaptive_calibration_error(sure: Floats, right: npt.NDArray[np.bool_], bins: int = BINS) -> float:
    """The calibration error with bins of equally many images (Nguyen and O'Connor, EMNLP 2015).

    Args:
        sure: As in `calibration_error`. Images of equal probabilities share their right answers evenly, so that the
            result does not depend on the order of the images.
        right: As in `calibration_error`.
        bins: The number of bins; their sizes differ by at most one image.

    Returns:
        As `calibration_error`.
    """
    _, group, sizes = np.unique(sure, return_inverse=True, return_counts=True)
    gaps = (np.bincount(group, right) / sizes)[group] - sure
    parts = np.array_split(gaps[np.argsort(sure)], min(bins, len(sure)))
    return float(sum(abs(part.sum()) for part in parts) / len(sure))


def negative_log_likelihood(found: Predictions) -> float:
    """The mean of -log p(label), in nats."""
    return float((found.log_sum_exp - found.label_logit.astype(float)).mean())


def brier(found: Predictions) -> float:
    """The mean squared distance between the probabilities and the label's indicator, summed over classes: 0 to 2."""
    of_label = np.exp(found.label_logit.astype(float) - found.log_sum_exp)
    return float((1 - 2 * of_label + found.square_sum.astype(float)).mean())


def _measure(found: Predictions) -> tuple[float | None, ...]:
    sure, right = confidence(found), found.right
    return (
        100 * calibration_error(sure, right),
        100 * adaptive_calibration_error(sure, right),
        negative_log_likelihood(found),
        brier(found),
    )


CALIBRATION = Subject(
    name=names.CALIBRATION,
    title="calibration",
    caption=(
        f"ECE: expected calibration error in percent, {BINS} bins of equal width; adaptive ECE: {BINS} bins of "
        "equally many "
        "images. NLL: negative log-likelihood in nats. Brier: sum of squared differences over classes, 0 to 2. "
        "Probabilities are the softmax of the logits as they are, without a fitted temperature. Less is better."
    ),
    columns=(
        Column("ece_pct", "ECE"),
        Column("adaptive_ece_pct", "adaptive ECE"),
        Column("nll_nats", "NLL", "number"),
        Column("brier", "Brier", "number"),
    ),
    measure=_measure,
)
