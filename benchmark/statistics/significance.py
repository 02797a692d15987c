"""The tests, by scipy and statsmodels."""

from collections.abc import Sequence

import numpy as np

from promptarena.benchmark.statistics.bootstrap import Array

ALPHA = 0.05
EXHAUSTIVE = 13
"""Up to so many differences all their signs are tried, as scipy does."""
DECIMALS = 9
"""Differences are rounded to so many decimals of a point: what is equal but for the arithmetic is a tie."""


def wilcoxon(differences: Array) -> Array:
    """Two-sided p of Wilcoxon's signed-rank test for every row (rows, n >= 2) of differences; zeros are dropped.

    Exact for up to 13 differences, ties and zeros included: the same p as `scipy.stats.wilcoxon`, which with ties takes
    minutes for what this does in a moment. Beyond that, scipy's. A row of zeros has p = 1.
    """
    from scipy import stats

    rounded = np.round(differences, DECIMALS)
    if rounded.shape[1] > EXHAUSTIVE:
        return np.array([stats.wilcoxon(row).pvalue if row.any() else 1.0 for row in rounded])
    sizes = np.where(rounded == 0, np.nan, np.abs(rounded))
    ranks = np.nan_to_num(stats.rankdata(sizes, axis=1, nan_policy="omit")) * np.sign(rounded)
    tested = stats.permutation_test(
        (ranks,), np.sum, permutation_type="samples", vectorized=True, n_resamples=np.inf, batch=64, axis=1
    )
    return np.asarray(tested.pvalue, dtype=np.float64)


def smallest_wilcoxon(datasets: int) -> float:
    """The smallest two-sided p that the exact test can give."""
    return float(2.0 ** (1 - datasets))


def paired_t(differences: Sequence[float]) -> float:
    """Two-sided p of the paired t-test, from at least two differences."""
    from scipy import stats

    rounded = np.round(differences, DECIMALS)
    if not rounded.any():
        return 1.0
    if np.ptp(rounded) == 0:
        return 0.0
    return float(stats.ttest_1samp(rounded, 0.0).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values after Holm's correction for their number."""
    from statsmodels.stats.multitest import multipletests

    return [float(p) for p in multipletests(list(p_values), method="holm")[1]] if p_values else []


def friedman(values: Array) -> float:
    """p of Friedman's test for values (datasets >= 2, methods >= 3)."""
    from scipy import stats

    if (values == values[:, :1]).all():
        return 1.0
    return float(stats.friedmanchisquare(*values.T).pvalue)


def critical_difference(methods: int, datasets: int) -> float:
    """Nemenyi's: mean ranks that are at least so far apart differ at level `ALPHA`, whichever of all pairs it is."""
    from scipy import stats

    quantile = float(stats.studentized_range.ppf(1 - ALPHA, methods, np.inf))
    return float(quantile / np.sqrt(2) * np.sqrt(methods * (methods + 1) / (6 * datasets)))
