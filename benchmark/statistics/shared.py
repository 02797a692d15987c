"""Intervals where all targets share their trainings, as in the transfer protocols.

The difference of two methods on a target and a seed is the true difference, plus what is particular to the target, plus
what is particular to the seed's training and moves all targets at once, plus a rest. The average's variance has a part
of the targets and a part of the seeds, and each is estimated from few values, so each has its own t quantile.
"""

import math

import numpy as np

from promptarena.benchmark.statistics.bootstrap import LEVEL, Array, Interval

_SMALLEST_LOG_P = -230.0
"""exp of it is the smallest p-value that is looked for, about 1e-100; far below it quantiles overflow."""


def variance_parts(differences: Array) -> tuple[Array, Array]:
    """Estimate the variance of an average from its targets and from its seeds.

    Args:
        differences: (..., n, m) differences in points on n >= 2 targets, with m seeds.

    Returns:
        (...) the variance of the targets' means divided by n, and (...) that of the seeds' means divided by m. Their
        sum is on average at least the variance of the average, because the rest is in both. With one seed the second
        part is 0.
    """
    targets, seeds = differences.shape[-2:]
    by_target = np.var(differences.mean(axis=-1), axis=-1, ddof=1) / targets
    by_seed = np.var(differences.mean(axis=-2), axis=-1, ddof=1) / seeds if seeds > 1 else np.zeros_like(by_target)
    return by_target, by_seed


def half_width(parts: tuple[Array, Array], shape: tuple[int, int], p: float = 1 - LEVEL) -> Array:
    """Half the width of the interval of level 1 - p (Banerjee, Sankhyā 22, 1960).

    It is sqrt(t(n - 1)² a + t(m - 1)² b) for the parts a of n targets and b of m seeds, t being the quantile 1 - p / 2
    of Student's distribution. Whatever the true parts are, such an interval contains the true value at least as often
    as its level says. One t quantile with Satterthwaite's degrees of freedom is narrower but does not keep the level
    with two or three seeds: docs/statistics.md gives the coverage of both.

    Args:
        parts: (...) from `variance_parts`.
        shape: The numbers of targets and of seeds.
        p: 1 minus the level.

    Returns:
        (...) in points.
    """
    from scipy.special import stdtrit

    # The lower tail, because 1 - p / 2 is rounded to 1 for a small p.
    quantiles = [float(stdtrit(max(1, count - 1), p / 2)) for count in shape]
    return np.hypot(quantiles[0] * np.sqrt(parts[0]), quantiles[1] * np.sqrt(parts[1]))


def shared_interval(centre: float, differences: Array) -> Interval:
    """The interval of an average over targets that share their trainings.

    Args:
        centre: The average difference, in points.
        differences: (n, m) differences in points on n >= 2 targets with m seeds. m is 1 only if nothing is random.

    Returns:
        The interval in points. Without any spread p is 1 if the average is 0, otherwise 0.
    """
    from scipy.optimize import brentq

    targets, seeds = differences.shape
    parts = variance_parts(differences)

    def beyond(log_p: float) -> float:
        return float(half_width(parts, (targets, seeds), math.exp(log_p))) - abs(centre)

    half = float(half_width(parts, (targets, seeds)))
    if centre == 0:
        p = 1.0
    elif beyond(_SMALLEST_LOG_P) <= 0:
        p = 0.0
    else:
        p = math.exp(brentq(beyond, _SMALLEST_LOG_P, 0.0))
    return Interval(centre - half, centre + half, p)
