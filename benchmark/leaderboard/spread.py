"""Means over seeds, with standard deviation and confidence interval."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """A mean over seeds and how uncertain it is, all in the unit of the values.

    Args:
        mean: The reported value.
        n: The number of seeds.
        std: Sample standard deviation (ddof 1); None with one seed.
        low: Lower end of the 95 % Student t interval; None with one seed.
        high: Upper end of the 95 % Student t interval; None with one seed.
    """

    mean: float
    n: int
    std: float | None = None
    low: float | None = None
    high: float | None = None


def spread(values: Sequence[float], centre: float | None = None) -> Spread:
    """Summarize one value per seed.

    The interval is centre ± t(0.975, n - 1) std / sqrt(n).

    Args:
        values: At least one value, all in one unit.
        centre: The value to report where it is not the mean, such as the harmonic mean of two means.

    Returns:
        The summary, in the unit of the values.
    """
    n = len(values)
    # fsum rounds once, so mean and deviation do not depend on the order of the seeds.
    mean = math.fsum(values) / n
    reported = mean if centre is None else centre
    if n == 1:
        return Spread(reported, 1)
    std = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    half = student_t(n - 1) * std / math.sqrt(n)
    return Spread(reported, n, std, reported - half, reported + half)


def student_t(freedom: int) -> float:
    """The 97.5 % quantile of Student's t distribution: `scipy.stats.t.ppf(0.975, freedom)` without the slow import."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975))
