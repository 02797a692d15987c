"""Means over seeds, and how far they can be trusted."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """A mean over `n` seeds with its sample standard deviation (ddof 1) and 95 % Student-t interval.

    With one seed there is neither: `std`, `low` and `high` are None.
    """

    mean: float
    n: int
    std: float | None = None
    low: float | None = None
    high: float | None = None


def spread(values: Sequence[float], centre: float | None = None) -> Spread:
    """Summarise one value per seed (at least one). `centre` replaces the mean where that is not what is reported."""
    n = len(values)
    mean = math.fsum(values) / n
    reported = mean if centre is None else centre
    if n == 1:
        return Spread(reported, 1)
    std = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    half = _student_t(n - 1) * std / math.sqrt(n)
    return Spread(reported, n, std, reported - half, reported + half)


def _student_t(freedom: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975))
