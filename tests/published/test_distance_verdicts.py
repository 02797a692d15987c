"""The verdict about a distance: its rule, and what it needs of our runs."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from distanced import DTD, ELEVEN, judged, only, result, seeded, sides
from scipy.stats import t as student_t

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.core.runs import Target
from promptarena.benchmark.leaderboard.aggregate import Aggregate
from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.leaderboard.frame import tidy
from promptarena.benchmark.published.board import distance_board
from promptarena.benchmark.published.distance import DETERMINISTIC_POINTS, ROUNDING_POINTS, allowance, distances
from promptarena.benchmark.published.rows import AVERAGE


@pytest.mark.parametrize("published", [78.0, 79.37, 79.38, 80.0, 80.62, 80.63, 83.0])
@pytest.mark.parametrize("seeds", [(80.3, 79.7), (80.2, 79.8, 80.0), (80.9, 79.1, 80.4, 79.6, 80.0)])
def test_reproduced_is_within_the_interval_of_the_difference_of_two_means(
    publish: Any, published: float, seeds: tuple[float, ...]
) -> None:
    found = judged(seeded(seeds), publish(("coop", "dtd", "base", published)))
    n, spread = len(seeds), float(np.std(seeds, ddof=1))
    limit = student_t.ppf(0.975, n - 1) * spread * math.sqrt(1 / n + 1 / 3)
    assert found.points == pytest.approx(80.0 - published)
    assert found.allowance == pytest.approx(limit)
    assert found.verdict == ("reproduced" if abs(80.0 - published) <= limit else "off")
    assert found.words == ("reproduced" if found.verdict == "reproduced" else f"off by {80.0 - published:+.2f}")


def test_one_true_reproduction_in_twenty_is_called_off() -> None:
    rng = np.random.default_rng(0)
    for n in (2, 3, 5):
        ours, theirs = rng.normal(80, 1, (4000, n)), rng.normal(80, 1, (4000, 3)).mean(axis=1)
        off = 0
        for seeds, published in zip(ours, theirs, strict=True):
            cell = Aggregate(dict(enumerate(seeds)), frozenset(range(n))).cell()
            off += abs(seeds.mean() - published) > allowance(cell, False)
        assert off / 4000 == pytest.approx(0.05, abs=4 * math.sqrt(0.05 * 0.95 / 4000))


def test_the_limit_never_falls_below_the_rounding_of_published_figures(publish: Any) -> None:
    frame = seeded([80.0, 80.0, 80.0])
    near = judged(frame, publish(("coop", "dtd", "base", 80.05)))
    assert (near.verdict, near.allowance) == ("reproduced", ROUNDING_POINTS)
    assert judged(frame, publish(("coop", "dtd", "base", 80.06))).words == "off by -0.06"


def test_a_method_without_seeds_has_a_limit_of_its_own(publish: Any) -> None:
    frame = tidy([result("zeroshot", None, sides(53.24))])
    for value, verdict in ((53.24, "reproduced"), (53.44, "reproduced"), (53.04, "reproduced"), (53.45, "off")):
        found = only(
            distances(BoardQuery(frame, "base-to-novel", DTD), publish(("zeroshot", "dtd", "base", value))), "zeroshot"
        )
        assert (found.verdict, found.allowance) == (verdict, DETERMINISTIC_POINTS)


def test_harmonic_means_and_averages_are_compared_as_the_leaderboard_shows_them(published: pd.DataFrame) -> None:
    rng = np.random.default_rng(1)
    runs = [
        result("maple", seed, sides(*rng.uniform(60, 95, 2), dataset=name), 100 * place + seed)
        for seed in (1, 2, 3)
        for place, (name, _) in enumerate(ELEVEN)
    ]
    frame = tidy(runs)
    found = distances(BoardQuery(frame, "base-to-novel", ELEVEN), published)
    board = BoardQuery(frame, "base-to-novel", ELEVEN).board
    assert len(found) == 36
    for table in board.tables[:-1]:
        for column, cell in zip(table.columns[:3], table.rows[0].cells, strict=False):
            mine = only(found, "maple", table.key, column.key.removesuffix("_pct"))
            assert mine.ours == replace(cell, mark=mine.ours.mark)
            assert mine.published is not None
            assert mine.points == pytest.approx((cell.value or 0) - mine.published.value)
    average = only(found, "maple", AVERAGE, "hm")
    assert average.published is not None
    assert (average.published.text, average.published.kind) == ("78.55", "own paper")


def test_runs_that_are_missing_leave_no_verdict(publish: Any) -> None:
    table = publish(("coop", "dtd", "base", 81.0))
    assert judged(seeded([80, 81]), table, seeds=[1, 2, 3]).words == "no verdict: 2 of 3 seeds"
    assert judged(seeded([80, 81]), table, labels=[Label("coop"), Label("maple")]).verdict == "reproduced"
    assert judged(tidy([]), table, labels=[Label("coop")]).verdict == "no verdict"
    hole = result("coop", 1, {("dtd", "novel"): 60.0}, unscored={Target("dtd", "base"): "no such head"})
    assert judged(tidy([hole]), table).words == "no verdict: no such head"


def test_one_seed_leaves_no_verdict_but_a_distance(publish: Any) -> None:
    found = judged(seeded([80]), publish(("coop", "dtd", "base", 81.0)))
    assert found.words == "no verdict: one seed"
    assert found.points == pytest.approx(-1.0)


def test_runs_with_several_numbers_of_shots_are_kept_apart(publish: Any) -> None:
    table = publish(("coop", "dtd", "base", 81.0))
    runs = [
        result("coop", seed, sides(80 + seed / 10), 10 * seed + shots, shots=shots)
        for seed in (1, 2)
        for shots in (4, 16)
    ]
    found = [each for each in distances(BoardQuery(tidy(runs), "base-to-novel", DTD), table) if each.metric == "base"]
    verdicts = {each.shots: each.verdict for each in found if each.dataset == "dtd"}
    assert verdicts[4] == "not comparable"
    assert verdicts[16] in ("off", "reproduced")
    board = distance_board(BoardQuery(tidy(runs), "base-to-novel", DTD), table)
    assert [row.label for row in board.tables[0].rows] == ["coop (16 shots)", "coop (4 shots)"]


def test_several_backbones_are_refused(publish: Any) -> None:
    runs = [result("coop", 1, sides(80)), result("coop", 1, sides(80), 1, backbone="RN50")]
    with pytest.raises(UserError, match="several values of backbone"):
        distances(BoardQuery(tidy(runs), "base-to-novel", DTD), publish(("coop", "dtd", "base", 81.0)))
