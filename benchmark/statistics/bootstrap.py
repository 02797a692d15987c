"""The hierarchical bootstrap: datasets are drawn with replacement, then seeds within each.

`scipy.stats.bootstrap` draws single observations and has no levels, so the draws are made here, as weights: row r of
`draw_weights` times the observations is the r-th resampled mean.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from promptarena.benchmark.core.keys import generator

Array = NDArray[np.float64]

DRAWS = 10_000
"""Resamples. The number is also part of the random key, so another one changes every interval."""
LEVEL = 0.95
"""The level of all intervals."""


@lru_cache(maxsize=4)
def draw_weights(sizes: tuple[int, ...], draws: int = DRAWS) -> Array:
    """The weights of the observations in each resample.

    Args:
        sizes: The number of seeds of each dataset (at least one dataset, at least one seed each).
        draws: The number of resamples.

    Returns:
        (draws, cells) weights, read-only, the cells dataset by dataset. Every row sums to 1. Equal arguments give equal
        weights, in every process.
    """
    # The generator's key and the order of the draws below (datasets first, then seeds, dataset by dataset) decide every
    # interval; a change of either changes recorded tables. A multinomial gives the counts of a draw with replacement.
    random = generator("hierarchical bootstrap", list(sizes), False, draws)
    count = len(sizes)
    datasets = random.multinomial(count, [1 / count] * count, size=draws)
    picked = [
        random.multinomial(datasets[:, place] * size, [1 / size] * size) / (count * size)
        for place, size in enumerate(sizes)
    ]
    weights = np.concatenate(picked, axis=1)
    # The cache hands out the same array again, so nobody may change it.
    weights.flags.writeable = False
    return weights


def spans(sizes: Sequence[int]) -> list[slice]:
    """The slice of each dataset's cells, given the number of seeds of each.

    >>> spans([3, 2])
    [slice(0, 3, None), slice(3, 5, None)]
    """
    return [slice(end - size, end) for end, size in zip(accumulate(sizes), sizes, strict=True)]


@dataclass(frozen=True)
class Interval:
    """A 95 % confidence interval and its p-value.

    Args:
        low: Lower end, in the unit of the figure.
        high: Upper end, in the unit of the figure.
        p: Two-sided: one minus the level of the interval that would just reach 0.
    """

    low: float
    high: float
    p: float


def interval(centre: float, resampled: Array, datasets: int) -> Interval:
    """The interval of a figure from its resampled values.

    Args:
        centre: The figure, an average over datasets.
        resampled: (draws,) its values in the resamples, in the same unit.
        datasets: The number of datasets, at least two.
    """
    return student(centre, float(np.std(resampled)), datasets)


def student(centre: float, error: float, datasets: int) -> Interval:
    """Student's t interval of a figure from the spread of its resampled values.

    The interval is centre ± t(0.975, n - 1) · error · sqrt(n / (n - 1)) for n datasets. The last factor makes up for
    the spread that a resample of n datasets lacks. Percentiles of the resampled values would be too narrow:
    docs/statistics.md gives the coverage of both.

    Args:
        centre: The figure, an average over datasets.
        error: The standard deviation (ddof 0) of its resampled values, in the same unit.
        datasets: The number of datasets, at least two.

    Returns:
        The interval in the same unit. Without any spread p is 1 if the figure is 0, otherwise 0.
    """
    # Student's t distribution function and its inverse, as in `scipy.stats.t`, which imports slowly.
    from scipy.special import stdtr, stdtrit

    freedom, error = datasets - 1, error * math.sqrt(datasets / (datasets - 1))
    half = float(stdtrit(freedom, (1 + LEVEL) / 2)) * error
    p = 2 * float(stdtr(freedom, -abs(centre) / error)) if error else float(centre == 0)
    return Interval(centre - half, centre + half, p)
