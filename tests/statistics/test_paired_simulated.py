"""Intervals and verdicts on data whose truth is known: how often they are right."""

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from simulated_scores import near

from promptarena.benchmark.core.protocol_table import Protocol
from promptarena.benchmark.leaderboard.spread import spread
from promptarena.benchmark.statistics.bootstrap import draw_weights, student
from promptarena.benchmark.statistics.paired import compare
from promptarena.benchmark.statistics.ranks import rank
from promptarena.benchmark.statistics.scores import Scores
from promptarena.benchmark.statistics.shared import half_width, variance_parts
from promptarena.benchmark.statistics.significance import wilcoxon

Array = NDArray[np.float64]


def differences(
    random: np.random.Generator, trials: int, datasets: int, seeds: int, spread: float, luck: float
) -> Array:
    """Differences (trials, datasets, seeds) of mean 0: seeds vary by 1, datasets by `spread`, by `luck` what a seed
    shares on all datasets."""
    common = luck * random.normal(size=(trials, 1, seeds))
    return spread * random.normal(size=(trials, datasets, 1)) + random.normal(size=(trials, datasets, seeds)) + common


def covered(random: np.random.Generator, trials: int, datasets: int, seeds: int, spread: float) -> float:
    """How often the interval over datasets and seeds holds the truth where every dataset has its own trainings."""
    weights = draw_weights((seeds,) * datasets)
    drawn = differences(random, trials, datasets, seeds, spread, 0.0).reshape(trials, -1)
    # In blocks, because one matrix product for many trials is much faster than a product for each.
    errors = np.concatenate([np.std(weights @ block.T, axis=0) for block in np.array_split(drawn, trials // 100)])
    over = [student(float(one.mean()), float(error), datasets) for one, error in zip(drawn, errors, strict=True)]
    return sum(each.low <= 0 <= each.high for each in over) / trials


def covered_where_shared(
    random: np.random.Generator, trials: int, targets: int, seeds: int, spread: float, luck: float
) -> float:
    """How often the interval holds the truth where targets share their trainings."""
    drawn = differences(random, trials, targets, seeds, spread, luck)
    half = half_width(variance_parts(drawn), (targets, seeds))
    return float((np.abs(drawn.mean(axis=(1, 2))) <= half).mean())


def scores_of(values: Array, protocol: Protocol = "few-shot") -> Scores:
    """Scores of methods m0, m1, ... from (methods, datasets, seeds)."""
    names = [f"d{place}" for place in range(values.shape[1])]
    cells = {
        f"m{number}": {
            name: {seed: (float(value),) for seed, value in enumerate(row)}
            for name, row in zip(names, rows, strict=True)
        }
        for number, rows in enumerate(values)
    }
    return Scores(protocol, "accuracy", tuple((name, name) for name in names), cells)


def significant(random: np.random.Generator, trials: int, datasets: int, seeds: int, spread: float) -> float:
    """How often two equal methods differ significantly."""
    drawn = 70 + differences(random, trials, datasets, seeds, spread, 0.0)
    return sum(
        compare(scores_of(np.stack([one, np.full_like(one, 70.0)])), "m0", "m1").significant for one in drawn
    ) / len(drawn)


def families_wrong(random: np.random.Generator, trials: int, methods: int, datasets: int, luck: float = 0.0) -> float:
    """How often any two of equal methods differ significantly in a ranking; with `luck`, in transfer."""
    wrong = 0
    for _ in range(trials):
        own = 70 + random.normal(size=(methods, datasets, 1)) + 3 * random.normal(size=(1, datasets, 1))
        noise = random.normal(size=(methods, datasets, 3)) + luck * random.normal(size=(methods, 1, 3))
        ranking = rank(scores_of(own + noise, "cross-dataset" if luck else "few-shot"))
        wrong += any(pair.significant for pair in ranking.pairs)
    return wrong / trials


@pytest.mark.parametrize(
    ("datasets", "seeds", "spread", "low", "high"),
    [(11, 1, 1.0, 0.94, 0.96), (11, 3, 0.0, 0.97, 1.0), (11, 3, 3.0, 0.94, 0.97), (4, 3, 3.0, 0.94, 0.98)],
)
def test_the_interval_over_datasets_and_seeds_holds_the_truth_as_documented(
    datasets: int, seeds: int, spread: float, low: float, high: float
) -> None:
    assert near(covered(np.random.default_rng(7), 600, datasets, seeds, spread), 600, low, high)


@pytest.mark.parametrize("datasets", [2, 5, 11])
@pytest.mark.parametrize("seeds", [1, 2, 3, 10])
def test_an_interval_over_own_trainings_holds_the_truth_whatever_the_parts(datasets: int, seeds: int) -> None:
    random = np.random.default_rng(datasets * seeds)
    assert min(covered(random, 1200, datasets, seeds, spread) for spread in (0.0, 0.3, 1.0, 10.0)) >= 0.93


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
@pytest.mark.parametrize("targets", range(2, 12))
def test_an_interval_over_shared_trainings_holds_the_truth_whatever_the_parts(targets: int, seeds: int) -> None:
    random = np.random.default_rng(100 * targets + seeds)
    parts = product((0.0, 0.3, 1.0, 3.0, 30.0), repeat=2)
    shares = {pair: covered_where_shared(random, 4000, targets, seeds, *pair) for pair in parts}
    assert min(shares.values()) >= 0.93, min(shares, key=lambda pair: shares[pair])


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
def test_the_interval_of_one_target_holds_the_truth_of_that_target(seeds: int) -> None:
    drawn = differences(np.random.default_rng(seeds), 3000, 1, seeds, 0.0, 1.0)
    over = [spread(one[0].tolist()) for one in drawn]
    hits = sum(each.low <= 0 <= each.high for each in over if each.low is not None and each.high is not None)
    assert hits / 3000 >= 0.93


def test_one_quantile_with_satterthwaites_degrees_of_freedom_would_not_keep_the_level() -> None:
    by_target, by_seed = variance_parts(differences(np.random.default_rng(1), 4000, 10, 2, 1.0, 3.0))
    mean = differences(np.random.default_rng(1), 4000, 10, 2, 1.0, 3.0).mean(axis=(1, 2))
    freedom = (by_target + by_seed) ** 2 / (by_target**2 / 9 + by_seed**2)
    assert (np.abs(mean) <= stats.t.ppf(0.975, freedom) * np.sqrt(by_target + by_seed)).mean() < 0.92


def test_percentiles_of_the_draws_would_hold_the_truth_too_rarely() -> None:
    weights = draw_weights((1,) * 11)
    resampled = differences(np.random.default_rng(1), 600, 11, 1, 1.0, 0.0).reshape(600, 11) @ weights.T
    low, high = np.quantile(resampled, [0.025, 0.975], axis=1)
    assert not near(float(((low <= 0) & (high >= 0)).mean()), 600, 0.95, 1.0)


@pytest.mark.parametrize("datasets", [6, 10, 11, 13])
def test_wilcoxon_is_wrong_at_most_one_time_of_20(datasets: int) -> None:
    p_values = wilcoxon(np.random.default_rng(datasets).normal(size=(3000, datasets)))
    assert near(float((p_values <= 0.05).mean()), 3000, 0.03, 0.05)


def test_equal_methods_are_seldom_significantly_different() -> None:
    assert near(significant(np.random.default_rng(1), 150, 11, 3, 3.0), 150, 0.0, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("datasets", "seeds", "spread", "low", "high"),
    [(11, 3, 0.0, 0.0, 0.02), (11, 3, 3.0, 0.03, 0.05), (11, 1, 1.0, 0.03, 0.05), (1, 3, 0.0, 0.05, 0.05)],
)
def test_equal_methods_are_significantly_different_as_rarely_as_documented(
    datasets: int, seeds: int, spread: float, low: float, high: float
) -> None:
    assert near(significant(np.random.default_rng(2), 300, datasets, seeds, spread), 300, low, high)


@pytest.mark.slow
@pytest.mark.parametrize(("methods", "datasets"), [(3, 11), (10, 11), (40, 11), (5, 4)])
def test_families_of_equal_methods_are_significantly_different_at_most_one_time_of_20(
    methods: int, datasets: int
) -> None:
    trials = 100 if methods < 20 else 20
    assert near(families_wrong(np.random.default_rng(3), trials, methods, datasets), trials, 0.0, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("methods", [5, 15])
def test_luck_that_all_targets_share_tells_families_apart_seldom(methods: int) -> None:
    assert near(families_wrong(np.random.default_rng(4), 60, methods, 10, luck=1.0), 60, 0.0, 0.05)
