"""The significance tests, computed with scipy."""

from collections.abc import Sequence

import numpy as np

from promptarena.benchmark.statistics.bootstrap import Array

ALPHA = 0.05
"""The level of every test."""
EXHAUSTIVE = 13
"""Up to so many differences the p-value is exact: all their signs are tried. scipy has the same limit where there are
ties.
"""
SCIPY_EXACT = 50
"""Up to so many differences without ties and zeros scipy's test is exact, too."""
DECIMALS = 9
"""Differences are rounded to so many decimals of a point, so that values that differ only by floating-point error are
ties.
"""


def wilcoxon(differences: Array) -> Array:
    """Wilcoxon's signed-rank test for every row, two-sided.

    Up to 13 differences it is exact, with ties and zeros: the same p-values as `scipy.stats.wilcoxon`, which takes
    minutes for rows with ties where this takes a moment. With more differences it is `scipy.stats.wilcoxon` itself.

    Args:
        differences: (rows, n) with n >= 2, in points. Zeros are dropped.

    Returns:
        (rows,) p-values. A row of zeros has p = 1.
    """
    from scipy import stats

    rounded = np.round(differences, DECIMALS)
    if rounded.shape[1] > EXHAUSTIVE:
        return _of_many(rounded)
    sizes = np.where(rounded == 0, np.nan, np.abs(rounded))
    ranks = np.nan_to_num(stats.rankdata(sizes, axis=1, nan_policy="omit")) * np.sign(rounded)
    # An infinite number of resamples means all 2^n signs. The batch bounds memory; it does not change the p-values.
    tested = stats.permutation_test(
        (ranks,), np.sum, permutation_type="samples", vectorized=True, n_resamples=np.inf, batch=64, axis=1
    )
    return np.asarray(tested.pvalue, dtype=np.float64)


def _of_many(rounded: Array) -> Array:
    """`scipy.stats.wilcoxon` for every row of more than `EXHAUSTIVE` differences."""
    from scipy import stats

    p_values, sizes = np.ones(len(rounded)), np.sort(np.abs(rounded), axis=1)
    exact = (sizes[:, 0] > 0) & (np.diff(sizes, axis=1) > 0).all(axis=1) & (sizes.shape[1] <= SCIPY_EXACT)
    if exact.any():
        # What scipy would choose for each of these rows, said for all of them: one call instead of hundreds.
        p_values[exact] = stats.wilcoxon(rounded[exact], axis=1, method="exact").pvalue
    for row in np.flatnonzero(~exact & rounded.any(axis=1)):
        p_values[row] = stats.wilcoxon(rounded[row]).pvalue
    return p_values


def smallest_wilcoxon(datasets: int) -> float:
    """The smallest two-sided p-value that the exact test can give: 2 / 2^n, when all n differences have the same sign.

    >>> smallest_wilcoxon(5)
    0.0625
    """
    return float(2.0 ** (1 - datasets))


def paired_t(differences: Sequence[float]) -> float:
    """The paired t-test, two-sided, by `scipy.stats.ttest_1samp`.

    Args:
        differences: At least two, in points.

    Returns:
        The p-value: 1 if all differences are 0. If all n are equal but not 0, t is infinite, which says only that the
        values are coarse: then 2 / 2^n, the sign test's.
    """
    from scipy import stats

    rounded = np.round(differences, DECIMALS)
    if not rounded.any():
        return 1.0
    if np.ptp(rounded) == 0:
        return smallest_wilcoxon(len(rounded))
    return float(stats.ttest_1samp(rounded, 0.0).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's correction for the number of tests (Holm, Scandinavian Journal of Statistics 6, 1979).

    The smallest of m p-values is multiplied by m, the next by m - 1, and so on; none becomes smaller than the one
    before it, or larger than 1. The tests compare it with statsmodels, which takes a second to import.

    Args:
        p_values: m p-values.

    Returns:
        The corrected p-values in the same order.

    >>> holm([0.5, 0.25])
    [0.5, 0.5]
    """
    given = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(given, kind="stable")
    corrected = np.empty_like(given)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1)))
    return [float(p) for p in corrected]


def friedman(values: Array) -> float:
    """Friedman's test whether any of the methods differ, by `scipy.stats.friedmanchisquare`.

    Args:
        values: (datasets, methods) scores, at least two datasets and three methods.

    Returns:
        The p-value; 1 if on every dataset all methods are equal, where the statistic is undefined.
    """
    from scipy import stats

    if (values == values[:, :1]).all():
        return 1.0
    return float(stats.friedmanchisquare(*values.T).pvalue)


def critical_difference(methods: int, datasets: int) -> float:
    """Nemenyi's critical difference at level `ALPHA` (Demšar, JMLR 7, 2006, section 3.2.2).

    It is q sqrt(k (k + 1) / (6 n)) for k methods and n datasets, where q is the quantile of the studentized range for
    infinite degrees of freedom, divided by sqrt(2).

    Args:
        methods: k, at least two.
        datasets: n, at least one.

    Returns:
        In ranks: two methods differ significantly if their mean ranks are at least this far apart.
    """
    from scipy import stats

    quantile = float(stats.studentized_range.ppf(1 - ALPHA, methods, np.inf))
    return float(quantile / np.sqrt(2) * np.sqrt(methods * (methods + 1) / (6 * datasets)))
