"""The hierarchical bootstrap: datasets drawn with replacement, then seeds within each.

`scipy.stats.bootstrap` draws single observations and knows no levels, so the draws are made here, as weights: row r of
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
LEVEL = 0.95


@lru_cache(maxsize=4)
def draw_weights(sizes: tuple[int, ...], crossed: bool, draws: int = DRAWS) -> Array:
    """Weights (draws, cells) of the observations, dataset by dataset; every row sums to 1. Read-only.

    `sizes` counts the seeds of each dataset (both at least 1). `crossed`: a seed is the same training on all datasets,
    so that seeds are drawn once for all of them; the sizes must agree then. Equal arguments give equal weights.
    """
    random = generator("hierarchical bootstrap", list(sizes), crossed, draws)
    count = len(sizes)
    datasets = random.multinomial(count, [1 / count] * count, size=draws)
    if crossed:
        (size,) = set(sizes)
        seeds = random.multinomial(size, [1 / size] * size, size=draws)
        weights = (datasets[:, :, None] * seeds[:, None, :]).reshape(draws, -1) / (count * size)
    else:
        picked = [
            random.multinomial(datasets[:, place] * size, [1 / size] * size) / (count * size)
            for place, size in enumerate(sizes)
        ]
        weights = np.concatenate(picked, axis=1)
    weights.flags.writeable = False
    return weights


def spans(sizes: Sequence[int]) -> list[slice]:
    """Where each dataset's observations are."""
    return [slice(end - size, end) for end, size in zip(accumulate(sizes), sizes, strict=True)]


@dataclass(frozen=True)
class Interval:
    """The 95 % interval `low` to `high`, and `p`, one minus the level of the interval that would just reach 0."""

    low: float
    high: float
    p: float


def interval(centre: float, resampled: Array, datasets: int) -> Interval:
    """What the resampled values (draws,) of a figure over at least two datasets say about `centre`."""
    return student(centre, float(np.std(resampled)), datasets)


def student(centre: float, error: float, datasets: int) -> Interval:
    """Student's t interval about a figure over at least two datasets; `error` is the standard deviation of its
    resampled values.

    With `datasets` - 1 degrees of freedom, and the error raised by sqrt(n / (n - 1)) for what a resample of n datasets
    lacks in spread. Percentiles of the resampled values would be too narrow: docs/statistics.md gives the coverage of
    both.
    """
    from scipy.special import stdtr, stdtrit

    freedom, error = datasets - 1, error * math.sqrt(datasets / (datasets - 1))
    half = float(stdtrit(freedom, (1 + LEVEL) / 2)) * error
    p = 2 * float(stdtr(freedom, -abs(centre) / error)) if error else float(centre == 0)
    return Interval(centre - half, centre + half, p)
