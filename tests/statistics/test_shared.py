"""Intervals where all targets share their trainings, against scipy and statsmodels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from promptarena.benchmark.statistics.bootstrap import Array, Interval
from promptarena.benchmark.statistics.shared import half_width, shared_interval, variance_parts


def drawn(seed: int, targets: int, seeds: int) -> Array:
    random = np.random.default_rng(seed)
    common, own = random.normal(size=(1, seeds)), random.normal(size=(targets, 1))
    return np.asarray(0.5 + common + own + random.normal(size=(targets, seeds)))


def test_both_parts_are_the_mean_squares_of_a_two_way_analysis_of_variance() -> None:
    import pandas as pd
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    values = drawn(1, 5, 3)
    target, seed = np.indices(values.shape)
    frame = pd.DataFrame({"y": values.ravel(), "target": target.ravel(), "seed": seed.ravel()})
    squares = anova_lm(ols("y ~ C(target) + C(seed)", frame).fit())
    squares = squares["sum_sq"] / squares["df"]
    assert variance_parts(values) == pytest.approx((squares["C(target)"] / 15, squares["C(seed)"] / 15))


@pytest.mark.parametrize("turned", [False, True])
def test_where_one_part_never_varies_the_interval_is_scipys(turned: bool) -> None:
    by_one = drawn(2, 6, 1).ravel()
    values = np.repeat(by_one[:, None], 4, axis=1)
    tested = stats.ttest_1samp(by_one, 0)
    over = shared_interval(float(by_one.mean()), values.T if turned else values)
    assert (over.low, over.high) == pytest.approx(tested.confidence_interval(0.95))
    assert over.p == pytest.approx(tested.pvalue)


def test_methods_without_any_randomness_vary_over_targets_only() -> None:
    values = drawn(3, 7, 1)
    tested = stats.ttest_1samp(values.ravel(), 0)
    assert shared_interval(float(values.mean()), values).p == pytest.approx(tested.pvalue)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 11), st.sampled_from([2, 3, 5, 10]), st.floats(1e-3, 1e3))
def test_the_p_value_is_that_of_the_interval_that_just_reaches_zero(
    seed: int, targets: int, seeds: int, scale: float
) -> None:
    values = drawn(seed, targets, seeds) * scale
    centre = float(values.mean())
    over = shared_interval(centre, values)
    assert half_width(variance_parts(values), values.shape, over.p) == pytest.approx(abs(centre), rel=1e-6)
    assert (over.p <= 0.05) == (over.low >= 0 or over.high <= 0)
    assert over.high - over.low == pytest.approx(2 * half_width(variance_parts(values), values.shape))


def test_the_variance_of_the_average_is_never_taken_too_small() -> None:
    random = np.random.default_rng(1)
    values = random.normal(size=(20_000, 4, 3)) + 2 * random.normal(size=(20_000, 1, 3))
    estimated = float(np.mean(np.add(*variance_parts(values))))
    assert estimated >= float(values.mean(axis=(1, 2)).var())


def test_an_interval_of_what_never_varies_is_a_point() -> None:
    assert shared_interval(2.0, np.full((5, 3), 2.0)) == Interval(2.0, 2.0, 0.0)
    assert shared_interval(0.0, np.zeros((5, 3))) == Interval(0.0, 0.0, 1.0)
