"""Selective prediction: if a learner may decline to answer where it is least sure, how often is it wrong?"""

import numpy as np
import numpy.typing as npt

from promptarena.benchmark.analysis import names
from promptarena.benchmark.analysis.subjects import (
    Floats,
    Subject,
    auroc,
    false_positives,
    log_confidence,
    percent,
)
from promptarena.benchmark.core.predictions import Predictions
from promptarena.benchmark.leaderboard.model import Column


def risks(sure: Floats, right: npt.NDArray[np.bool_]) -> Floats:
    """The risk-coverage curve.

    Args:
        sure: (N,) how sure the learner is of each prediction.
        right: (N,) whether it is right.

    Returns:
        (N,) for k = 1 .. N the share of wrong predictions among the k surest. Among equally sure ones the errors count
        evenly, so that the curve does not depend on the order of the images.
    """
    _, group, sizes = np.unique(-sure, return_inverse=True, return_counts=True)
    ends = np.r_[0, np.cumsum(sizes)]
    errors = np.r_[0.0, np.cumsum(np.bincount(group, ~right))]
    counts = np.arange(1, len(sure) + 1)
    return np.asarray(np.interp(counts, ends, errors) / counts)


def area_under_risks(sure: Floats, right: npt.NDArray[np.bool_]) -> float:
    """AURC: the mean of the risk-coverage curve over all coverages (Geifman and El-Yaniv, NeurIPS 2017)."""
    return float(risks(sure, right).mean())


def _measure(found: Predictions) -> tuple[float | None, ...]:
    sure, right = log_confidence(found), found.right
    return (
        100 * area_under_risks(sure, right),
        percent(auroc(sure[right], sure[~right])),
        percent(false_positives(sure[right], sure[~right])),
    )


SELECTIVE = Subject(
    name=names.SELECTIVE,
    title="selective prediction",
    caption=(
        "How sure a learner is: the probability of the predicted class. AURC: area under the risk-coverage curve "
        "in percent, "
        "less is better. AUROC: of pairs of a right and a wrong prediction, those in which the right one is "
        "surer. FPR95: "
        "wrong predictions that are accepted when 95 % of the right ones are."
    ),
    columns=(
        Column("aurc_pct", "AURC"),
        Column("failure_auroc_pct", "AUROC"),
        Column("failure_fpr95_pct", "FPR95"),
    ),
    measure=_measure,
)
