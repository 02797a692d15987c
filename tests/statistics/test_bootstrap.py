"""Intervals over datasets and seeds against plain recomputation."""

import math
import statistics

import numpy as np
import pytest
from scipy import stats
from scored import random_scores, scores_of, shifted

from promptarena.benchmark.statistics.bootstrap import Interval, draw_weights, interval
from promptarena.benchmark.statistics.paired import PairedComparison, compare
from promptarena.benchmark.statistics.ranks import Ranking


class TestBootstrap:
    def test_weights_agree_with_a_plain_loop(self) -> None:
        random = np.random.default_rng(1)
        values = [list(random.normal(0, 1, size)) for size in (3, 1, 4)]

        def resample() -> float:
            picked = [values[random.integers(3)] for _ in range(3)]
            return statistics.mean(statistics.mean(random.choice(each, len(each))) for each in picked)

        looped = [resample() for _ in range(4000)]
        weighted = draw_weights((3, 1, 4)) @ np.concatenate([np.array(each) for each in values])
        assert np.mean(weighted) == pytest.approx(statistics.mean(looped), abs=0.05)
        assert np.std(weighted) == pytest.approx(statistics.stdev(looped), rel=0.08)
        assert np.quantile(weighted, [0.1, 0.9]) == pytest.approx(np.quantile(looped, [0.1, 0.9]), abs=0.08)

    @pytest.mark.parametrize("seeds", [1, 3])
    def test_the_variance_of_a_mean_is_that_of_theory(self, seeds: int) -> None:
        x = np.random.default_rng(2).normal(size=(8, seeds)) + np.arange(8)[:, None] / 3
        resampled = draw_weights((seeds,) * 8, 50_000) @ x.ravel()
        theory = x.mean(axis=1).var() / 8 + x.var(axis=1).mean() / (8 * seeds)
        assert resampled.var() == pytest.approx(theory, rel=0.03)

    def test_weights_are_means_and_the_same_every_time(self) -> None:
        weights = draw_weights((3, 2, 3))
        assert weights.sum(axis=1) == pytest.approx(np.ones(len(weights)))
        assert (weights == draw_weights.__wrapped__((3, 2, 3))).all()

    def test_luck_that_all_targets_share_widens_the_interval_only_where_it_is_shared(self) -> None:
        common = [(-1.0, 0.0, 1.0)] * 10
        nested = compare(scores_of(shifted(common)), "a", "b")
        crossed = compare(scores_of(shifted(common), "cross-dataset"), "a", "b")
        assert width(crossed) > 2.5 * width(nested)

    def test_the_interval_over_datasets_is_students_when_there_is_one_seed(self) -> None:
        scores = random_scores(5, 2, seeds=1)
        comparison = compare(scores, "m0", "m1")
        over = [each.spread.mean for each in comparison.datasets]
        theory = stats.ttest_1samp(over, 0).confidence_interval(0.95)
        assert (comparison.low, comparison.high) == pytest.approx(theory, rel=0.03, abs=0.1)

    def test_an_interval_of_what_never_varies_is_a_point(self) -> None:
        assert interval(2.0, np.full(100, 2.0), 11) == Interval(2.0, 2.0, 0.0)
        assert interval(0.0, np.zeros(100), 11) == Interval(0.0, 0.0, 1.0)

    def test_an_intervals_p_is_that_of_the_interval_that_just_reaches_zero(self) -> None:
        resampled = np.random.default_rng(1).normal(2.0, 0.7, 10_000)
        over = interval(2.0, resampled, 11)
        t = 2.0 / (resampled.std() * math.sqrt(11 / 10))
        assert over.p == pytest.approx(2 * stats.t.sf(t, 10))
        assert (over.p < 0.05) == (over.low > 0)


def width(comparison: PairedComparison | Ranking) -> float:
    assert isinstance(comparison, PairedComparison)
    assert comparison.low is not None
    assert comparison.high is not None
    return comparison.high - comparison.low
