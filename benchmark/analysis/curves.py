"""Curves from predictions: how often is an answer right that is given with some certainty, and how often is it wrong if
a learner declines to answer where it is least sure?
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from promptarena.benchmark.analysis.calibration import BINS, bins_of
from promptarena.benchmark.analysis.selective import risks
from promptarena.benchmark.analysis.subjects import GROUPS, Answered, Floats, confidence, log_confidence
from promptarena.benchmark.core.predictions import Predictions

LEAST_SHARE = 0.01
"""A bin with fewer of the images than this has no point: its accuracy would be chance."""

COVERAGES = np.arange(1, 21) / 20
"""The shares of the images that are answered, at which the risk is shown."""

Points = tuple[tuple[float, float], ...]
"""(x, y) of a curve, both in percent."""

Panels = Mapping[str, Mapping[str, Points]]
"""By the heading of a panel, which is empty for a single one, and by method."""


@dataclass(frozen=True)
class Curves:
    """The curves of a leaderboard's methods, by dataset; the one without a name is the average over datasets.

    Args:
        reliability: (mean probability of the predicted class, accuracy) in each bin.
        risk_coverage: (share of the images that are answered, share of these answers that are wrong).
    """

    reliability: Mapping[str, Panels]
    risk_coverage: Mapping[str, Panels]


def bin_shares(found: Predictions) -> Floats:
    """(3, BINS): for each bin of the calibration error its images, their probabilities and the right answers, each
    summed and divided by the number of all images."""
    sure = confidence(found)
    place = bins_of(sure)
    sums = [np.bincount(place, weights, BINS) for weights in (None, sure, found.right.astype(float))]
    return np.array(sums, dtype=float) / len(found)


def risks_at(found: Predictions) -> Floats:
    """(len(COVERAGES),) the share of wrong answers among the surest images, at each coverage."""
    kept = np.ceil(COVERAGES * len(found) - 1e-9).astype(int)
    return np.asarray(risks(log_confidence(found), found.right)[kept - 1])


def curves_of(answered: Answered) -> Curves:
    """Make the curves of all methods: means over seeds, and over datasets with equal weight.

    Args:
        answered: The predictions.

    Returns:
        The curves; a method is left out where a seed, or for the average a dataset, is missing.
    """
    return Curves(_panels(answered, bin_shares, _reliability), _panels(answered, risks_at, _risk_coverage))


def _panels(
    answered: Answered, measure: Callable[[Predictions], Floats], points: Callable[[Floats], Points]
) -> dict[str, Panels]:
    seeds = set(answered.board.seeds)
    means: dict[tuple[str, str], dict[str, Floats]] = {}
    for place, by_name in answered.by_place.items():
        for name in answered.names:
            by_seed = {seed: found for seed, found in by_name.get(name, {}).items() if len(found)}
            if by_seed and (set(by_seed) == {None} or set(by_seed) >= seeds):
                each = [measure(found) for found in by_seed.values()]
                means.setdefault(place, {})[str(name)] = np.mean(each, axis=0)
    made: dict[str, Panels] = {}
    for dataset in ("", *(name for name, _ in answered.datasets)):
        names = [dataset] if dataset else [name for name, _ in answered.datasets]
        panels = {
            heading: {
                str(name): points(np.mean([each[str(name)] for each in parts], axis=0))
                for name in answered.names
                if all(str(name) in each for each in parts)
            }
            for subset, heading in GROUPS.items()
            if (parts := [means.get((name, subset), {}) for name in names]) and any(parts)
        }
        made[dataset] = {heading: methods for heading, methods in panels.items() if methods}
    return made


def _reliability(shares: Floats) -> Points:
    return tuple(
        (100 * float(sure / images), 100 * float(right / images))
        for images, sure, right in shares.T
        if images >= LEAST_SHARE
    )


def _risk_coverage(wrong: Floats) -> Points:
    return tuple(zip((100 * COVERAGES).tolist(), (100 * wrong).tolist(), strict=True))
