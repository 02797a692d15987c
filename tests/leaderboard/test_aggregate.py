"""Means, spreads and averages of scores, against plain recomputation."""

import math
import statistics
from typing import Any

import pytest
from board_results import DATASETS, cell, counts, results_of, sides
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t as student_t

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.runs import Cost
from promptarena.benchmark.leaderboard.aggregate import Aggregate, average, harmonic
from promptarena.benchmark.leaderboard.build import BoardQuery, leaderboard
from promptarena.benchmark.leaderboard.frame import tidy


def naive_harmonic(base: float, novel: float) -> float:
    return 0.0 if base == 0 or novel == 0 else 2 / (1 / base + 1 / novel)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.tuples(counts, counts), min_size=3, max_size=3), min_size=2, max_size=4), st.randoms())
def test_base_to_novel_against_plain_recomputation(grid: list[list[tuple[int, int]]], random: Any) -> None:
    """`grid[seed][dataset]` = right answers of 200 on (base, novel)."""
    runs = results_of(
        ("coop", name, seed, sides(name, *grid[seed][place], total=200))
        for seed in range(len(grid))
        for place, (name, _) in enumerate(DATASETS)
    )
    random.shuffle(runs)
    board = BoardQuery(tidy(runs), "base-to-novel", DATASETS).board

    seeds = range(len(grid))
    base = [[grid[seed][place][0] / 2 for seed in seeds] for place in range(3)]
    novel = [[grid[seed][place][1] / 2 for seed in seeds] for place in range(3)]
    for place, (name, _) in enumerate(DATASETS):
        shown = cell(board, name, "coop", "base_pct")
        assert shown.value == pytest.approx(statistics.mean(base[place]))
        assert shown.std == pytest.approx(statistics.stdev(base[place]))
        half = student_t.ppf(0.975, len(grid) - 1) * statistics.stdev(base[place]) / math.sqrt(len(grid))
        assert (shown.low, shown.high) == pytest.approx((shown.value - half, shown.value + half))
        assert (shown.n, shown.total) == (len(grid), 200 * len(grid))
        mean = naive_harmonic(statistics.mean(base[place]), statistics.mean(novel[place]))
        assert cell(board, name, "coop", "hm_pct").value == pytest.approx(mean)
    by_seed = [statistics.mean(base[place][seed] for place in range(3)) for seed in seeds]
    averaged = cell(board, "average", "coop", "base_pct")
    assert (averaged.value, averaged.std) == pytest.approx((statistics.mean(by_seed), statistics.stdev(by_seed)))
    novel_average = statistics.mean(value for row in novel for value in row)
    assert cell(board, "average", "coop", "hm_pct").value == pytest.approx(
        naive_harmonic(averaged.value, novel_average)
    )
    hms = [naive_harmonic(statistics.mean(base[place]), statistics.mean(novel[place])) for place in range(3)]
    assert cell(board, "average", "coop", "mean_of_hms_pct").value == pytest.approx(statistics.mean(hms))


@pytest.mark.parametrize(
    ("base", "novel", "published"),
    [
        (69.34, 74.22, 71.70),
        (82.69, 63.22, 71.66),
        (80.47, 71.69, 75.83),
        (82.28, 75.14, 78.55),
        (84.26, 76.10, 79.97),
        (80.24, 73.43, 76.68),
        (81.72, 73.81, 77.56),
        (82.15, 74.07, 77.90),
        (84.21, 71.79, 77.51),
    ],
)
def test_published_averages_are_harmonic_means_of_averages(base: float, novel: float, published: float) -> None:
    expected: frozenset[int | None] = frozenset({None})
    combined = harmonic(average([Aggregate({None: base}, expected)]), average([Aggregate({None: novel}, expected)]))
    assert combined.value == pytest.approx(published, abs=0.005 + 1e-9)


def test_one_seed_or_none_has_no_spread() -> None:
    runs = [("zeroshot", name, None, sides(name, 500, 400)) for name, _ in DATASETS]
    runs += [("coop", name, seed, sides(name, 500, 400)) for name, _ in DATASETS for seed in (1, 2)]  # type: ignore[list-item]
    board = BoardQuery(tidy(results_of(runs)), "base-to-novel", DATASETS).board  # type: ignore[arg-type]
    still = cell(board, "average", "zeroshot", "base_pct")
    assert (still.value, still.n, still.std, still.low, still.full) == (50.0, 1, None, None, True)
    assert board.seeds == (1, 2)


def test_costs_are_means_over_runs_each_counted_once() -> None:
    runs = results_of([("coop", "dtd", seed, sides("dtd", 1, 1)) for seed in (1, 2)])
    still = Cost(0, 0.0, 0, 5.0, 1000, 10.0)
    runs += results_of([("zeroshot", "dtd", None, sides("dtd", 1, 1))], cost=still, run_id="z")
    board = BoardQuery(tidy(runs), "base-to-novel", [("dtd", "DTD")]).board
    expected = {
        "trainable_parameters": 100,
        "train_seconds": 2,
        "train_images_per_second": 150,
        "eval_images_per_second": 250,
        "peak_memory_mib": 50,
    }
    for column, value in expected.items():
        assert (cell(board, "cost", "coop", column).value, cell(board, "cost", "coop", column).n) == (value, 2)
    assert cell(board, "cost", "zeroshot", "train_images_per_second").value is None


def test_no_speed_is_reported_of_what_takes_no_time() -> None:
    runs = [
        result
        for label, cost in (("slow", Cost(0, 0.02, 1, 0.02, 1, 1.0)), ("still", Cost(0, 0.0001, 0, 0.0001, 1000, 1.0)))
        for result in results_of(
            [(label, "dtd", seed, sides("dtd", 1, 1)) for seed in (1, 2)], cost=cost, run_id=label, run_key=label
        )
    ]
    board = BoardQuery(tidy(runs), "base-to-novel", [("dtd", "DTD")]).board
    for column in ("train_images_per_second", "eval_images_per_second"):
        assert cell(board, "cost", "slow", column).value == 50
        assert cell(board, "cost", "still", column).value is None


def test_there_must_be_something_to_average() -> None:
    with pytest.raises(UserError, match="a source and a target"):
        leaderboard(BoardQuery(tidy([]), "cross-dataset", DATASETS[:1]))
    with pytest.raises(UserError, match="needs a dataset"):
        leaderboard(BoardQuery(tidy([]), "base-to-novel", []))
