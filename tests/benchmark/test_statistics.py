"""Paired comparisons and ranks against plain recomputation, and their rules for holes, seeds and small samples."""

import math
import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from score_frames import DATASETS, Row, drawn_frame, frame_of

from promptarena.benchmark.errors import UserError
from promptarena.benchmark.leaderboard import leaderboard
from promptarena.benchmark.spec import Protocol
from promptarena.benchmark.statistics.bootstrap import Interval, draw_weights, interval
from promptarena.benchmark.statistics.paired import Comparison, against, compare
from promptarena.benchmark.statistics.ranks import Ranking, rank
from promptarena.benchmark.statistics.scores import NoScoresError, Scores, read_scores
from promptarena.benchmark.statistics.significance import critical_difference, friedman, holm, paired_t, wilcoxon

SOURCE = ("source", "Source")


def scores_of(rows: Iterable[Row], protocol: Protocol = "few-shot", datasets: int = 11) -> Scores:
    titled = DATASETS[:datasets]
    transfer = protocol in ("cross-dataset", "domain-generalization")
    return read_scores(frame_of(rows, protocol), protocol, (SOURCE, *titled) if transfer else titled)


def random_scores(
    seed: int, methods: int, datasets: int = 11, seeds: int = 3, protocol: Protocol = "few-shot"
) -> Scores:
    random = np.random.default_rng(seed)
    labels = [f"m{number}" for number in range(methods)]
    return read_scores(
        drawn_frame(random, labels, protocol, datasets, range(1, seeds + 1)),
        protocol,
        DATASETS[:datasets] if protocol != "cross-dataset" else (SOURCE, *DATASETS[:datasets]),
    )


def shifted(points: Sequence[Sequence[float]], seeds: Sequence[int] = (1, 2, 3)) -> Iterator[Row]:
    """Methods a and b, a above b by `points[dataset][seed]`."""
    for (name, _), by_seed in zip(DATASETS, points, strict=False):
        for seed, point in zip(seeds, by_seed, strict=True):
            yield "a", name, seed, {"all": 60 + point}
            yield "b", name, seed, {"all": 60}


class TestScores:
    @pytest.mark.parametrize("protocol", ["base-to-novel", "cross-dataset", "few-shot"])
    def test_averages_and_their_differences_are_those_of_the_leaderboard(self, protocol: Protocol) -> None:
        frame = drawn_frame(np.random.default_rng(1), ["a", "b", "zeroshot"], protocol, shots=(4, 16))
        datasets = (SOURCE, *DATASETS) if protocol == "cross-dataset" else DATASETS
        board = leaderboard(frame, protocol, datasets, shots=(4, 16))
        scores = read_scores(frame, protocol, datasets)
        place = [column.headline for column in board.tables[0].columns].index(True)
        place += {"base-to-novel": 2, "few-shot": 1}.get(protocol, 0)
        shown = {row.label: row.cells[place].value for row in board.tables[0].rows}
        ranked = {each.label: each.average for each in rank(scores).methods}
        assert ranked == pytest.approx({label: value for label, value in shown.items() if label in ranked})
        assert len(ranked) == (3 if protocol == "few-shot" else 6)
        first, second, *_ = sorted(ranked)
        difference = compare(scores, first, second).average
        assert difference == pytest.approx(shown[first] - shown[second])

    def test_the_order_of_rows_changes_nothing(self) -> None:
        frame = drawn_frame(np.random.default_rng(2), ["a", "b", "zeroshot"])
        mixed = frame.sample(frac=1, random_state=0)
        one, other = (read_scores(each, "base-to-novel", DATASETS) for each in (frame, mixed))
        assert compare(one, "a", "zeroshot") == compare(other, "a", "zeroshot")
        assert rank(one) == rank(other)

    @pytest.mark.parametrize("value", [math.nan, math.inf, -0.1, 1.5])
    def test_an_accuracy_that_is_none_is_refused_with_its_place(self, value: float) -> None:
        frame = drawn_frame(np.random.default_rng(3), ["a"])
        frame.loc[7, "value"] = value
        with pytest.raises(UserError, match=r"a on d1/novel .*accuracy .*delete run r7 in MLflow"):
            read_scores(frame, "base-to-novel", DATASETS)

    def test_mixed_backbones_and_unknown_metrics_are_refused(self) -> None:
        frame = drawn_frame(np.random.default_rng(4), ["a"])
        with pytest.raises(UserError, match="no metric 'accuracy'; known: hm, base, novel"):
            read_scores(frame, "base-to-novel", DATASETS, metric="accuracy")
        frame.loc[0, "backbone"] = "other"
        with pytest.raises(UserError, match="several values of backbone cannot be compared: clip, other"):
            read_scores(frame, "base-to-novel", DATASETS)

    def test_own_splits_are_left_out_beside_published_ones(self) -> None:
        rows = [("a", "d0", 1, {"all": 60.0}), ("b", "d0", 1, {"all": 50.0})]
        own = frame_of([("a", "d0", 1, {"all": 90.0})], "few-shot", own_split=True)
        both = pd.concat([frame_of(rows, "few-shot"), own], ignore_index=True)
        assert compare(read_scores(both, "few-shot", DATASETS), "a", "b").average == pytest.approx(10)

    def test_a_further_reading_is_known_as_one(self) -> None:
        labels = ["dear", "dear: class feature", "coop: not a reading"]
        scores = read_scores(drawn_frame(np.random.default_rng(5), labels, shots=(4, 16)), "base-to-novel", DATASETS)
        assert scores.readings == {"dear: class feature (4 shots)", "dear: class feature (16 shots)"}

    def test_seeds_pick_runs_and_leave_seedless_methods(self) -> None:
        frame = drawn_frame(np.random.default_rng(6), ["a", "zeroshot"])
        comparison = compare(read_scores(frame, "base-to-novel", DATASETS, seeds=[1, 3]), "a", "zeroshot")
        assert comparison.seeds == (2, 2)


class TestPairs:
    @settings(max_examples=30, deadline=None)
    @given(st.lists(st.floats(0, 100), min_size=3, max_size=6), st.randoms(use_true_random=False))
    def test_a_datasets_interval_is_that_of_scipys_paired_t_test(self, first: list[float], random: object) -> None:
        second = [100 - value for value in first[1:] + first[:1]]
        rows = [
            (label, "d0", seed, {"all": value})
            for label, values in (("a", first), ("b", second))
            for seed, value in enumerate(values)
        ]
        comparison = compare(scores_of(rows), "a", "b")
        assert comparison.average == pytest.approx(statistics.mean(first) - statistics.mean(second), abs=1e-8)
        if np.ptp(np.round(np.subtract(first, second), 9)) > 1e-6:
            tested = stats.ttest_rel(first, second)
            assert (comparison.low, comparison.high) == pytest.approx(tested.confidence_interval(0.95), abs=1e-6)
            assert comparison.p == pytest.approx(tested.pvalue, abs=1e-6)
            assert comparison.test == "t-test"

    def test_exchanging_the_methods_turns_every_sign(self) -> None:
        scores = random_scores(1, 2)
        there, back = compare(scores, "m0", "m1"), compare(scores, "m1", "m0")
        assert there.low is not None
        assert back.low is not None
        assert (there.average, there.low, there.high) == pytest.approx((-back.average, -(back.high or 0), -back.low))
        assert there.p == back.p
        assert [each.outcome for each in there.datasets] == [
            {"win": "loss", "loss": "win", "tie": "tie"}[each.outcome] for each in back.datasets
        ]

    def test_a_method_without_seeds_stands_beside_every_seed(self) -> None:
        rows: list[Row] = [("zeroshot", name, None, {"all": 50.0}) for name, _ in DATASETS]
        rows += [("a", name, seed, {"all": 60.0 + seed}) for name, _ in DATASETS for seed in (1, 2, 3)]
        comparison = compare(scores_of(rows), "a", "zeroshot")
        assert comparison.seeds == (3, 3)
        assert comparison.average == pytest.approx(12)
        assert comparison.datasets[0].spread.std == pytest.approx(1)
        assert (comparison.missing, comparison.unpaired) == ((), 0)

    def test_only_what_both_have_is_compared_and_the_rest_is_counted(self) -> None:
        rows: list[Row] = [
            ("a", "d0", 1, {"all": 70.0}),
            ("a", "d0", 2, {"all": 99.0}),
            ("a", "d1", 1, {"all": 60.0}),
            ("a", "d2", 1, {"all": 5.0}),
            ("b", "d0", 1, {"all": 60.0}),
            ("b", "d0", 3, {"all": 1.0}),
            ("b", "d1", 1, {"all": 58.0}),
        ]
        comparison = compare(scores_of(rows, datasets=4), "a", "b")
        assert comparison.average == pytest.approx(6)
        assert [each.dataset for each in comparison.datasets] == ["d0", "d1"]
        assert comparison.missing == ("Data 2", "Data 3")
        assert comparison.unpaired == 2

    def test_half_of_a_harmonic_mean_is_no_score(self) -> None:
        rows: list[Row] = [
            ("a", "d0", 1, {"base": 80.0}),
            ("a", "d1", 1, {"base": 80.0, "novel": 60.0}),
            ("b", "d0", 1, {"base": 80.0, "novel": 60.0}),
            ("b", "d1", 1, {"base": 60.0, "novel": 60.0}),
        ]
        comparison = compare(read_scores(frame_of(rows), "base-to-novel", DATASETS[:2]), "a", "b")
        assert [each.dataset for each in comparison.datasets] == ["d1"]
        assert comparison.average == pytest.approx(2 * 80 * 60 / 140 - 60)

    def test_transfer_compares_only_seeds_that_have_all_shared_targets(self) -> None:
        rows: list[Row] = [
            (label, name, seed, {"all": 60.0 + seed * (label == "a")})
            for label in "ab"
            for name in ("d0", "d1")
            for seed in (1, 2, 3)
            if (label, name, seed) != ("b", "d1", 3)
        ]
        comparison = compare(scores_of(rows, "cross-dataset", 2), "a", "b")
        assert comparison.average == pytest.approx(1.5)
        assert comparison.unpaired == 2

    def test_a_tie_is_a_difference_within_the_spread_of_the_seeds(self) -> None:
        points = [(1.0, 2.0, 3.0), (1.0, 4.0, 1.0), (-5.0, -6.0, -5.0), (0.0, 0.0, 0.0)]
        comparison = compare(scores_of(shifted(points)), "a", "b")
        assert [each.outcome for each in comparison.datasets] == ["win", "win", "loss", "tie"]
        wide = compare(scores_of(shifted([(5.0, -4.0, 0.5)])), "a", "b")
        assert [each.outcome for each in wide.datasets] == ["tie"]

    def test_with_one_seed_of_transfer_nothing_is_tested(self) -> None:
        one = compare(random_scores(3, 2, seeds=1, protocol="cross-dataset"), "m0", "m1")
        assert (one.low, one.p, one.told_apart) == (None, None, False)
        assert compare(random_scores(3, 2, seeds=1), "m0", "m1").p is not None

    def test_seedless_methods_can_be_compared_in_transfer(self) -> None:
        rows: list[Row] = [
            (label, name, None, {"all": 50.0 + place * (label == "b") + 3})
            for label in "ab"
            for place, (name, _) in enumerate(DATASETS)
        ]
        assert compare(scores_of(rows, "cross-dataset"), "b", "a").p is not None

    def test_unknown_and_unrelated_methods_are_refused(self) -> None:
        scores = scores_of([("coop", "d0", 1, {"all": 1.0}), ("maple", "d1", 1, {"all": 1.0})])
        with pytest.raises(UserError, match="unknown method with few-shot results 'mapel'; did you mean maple"):
            compare(scores, "mapel", "coop")
        with pytest.raises(NoScoresError, match="coop and maple share no dataset and seed with accuracy at 16 shots"):
            compare(scores, "coop", "maple")

    def test_told_apart_needs_both_the_interval_and_the_test(self) -> None:
        clear = compare(scores_of(shifted([(1.0, 2.0, 3.0)] * 6)), "a", "b")
        assert clear.told_apart
        few = compare(scores_of(shifted([(1.0, 2.0, 3.0)] * 5)), "a", "b")
        assert few.p_interval is not None
        assert few.p_interval < 0.01
        assert not few.told_apart
        outlier = compare(scores_of(shifted([(0.1 * place,) * 3 for place in range(1, 11)] + [(40.0,) * 3])), "a", "b")
        assert outlier.p == pytest.approx(2 / 2**11)
        assert outlier.low is not None
        assert outlier.low < 0
        assert not outlier.told_apart

    def test_comparisons_with_a_reference_are_corrected_together(self) -> None:
        scores = random_scores(4, 6)
        comparisons = against(scores, "m0")
        single = [compare(scores, each.first, "m0").p or 0.0 for each in comparisons]
        assert [each.p_holm for each in comparisons] == pytest.approx(naive_holm(single))
        assert {each.family for each in comparisons} == {5}

    def test_where_trainings_are_shared_the_intervals_are_corrected_too(self) -> None:
        random = np.random.default_rng(1)
        frame = drawn_frame(random, [f"m{number}" for number in range(8)], "cross-dataset")
        scores = read_scores(frame, "cross-dataset", (SOURCE, *DATASETS))
        single = [compare(scores, each.first, "m0").p_interval or 0.0 for each in against(scores, "m0")]
        assert [each.p_interval for each in against(scores, "m0")] == pytest.approx(naive_holm(single))

    def test_readings_are_compared_only_by_name(self) -> None:
        scores = read_scores(drawn_frame(np.random.default_rng(1), ["a", "b", "b: x"]), "base-to-novel", DATASETS)
        assert [each.first for each in against(scores, "a")] == ["b"]
        assert [each.first for each in against(scores, "b: x")] == ["a", "b"]
        assert compare(scores, "b: x", "b").first == "b: x"

    def test_a_method_that_ran_with_several_shots_is_found_with_the_most(self) -> None:
        frame = drawn_frame(np.random.default_rng(1), ["a", "b"], shots=(16, 4))
        scores = read_scores(frame, "base-to-novel", DATASETS, labels=["a", "b"])
        assert {each.second for each in against(scores, "a")} == {"a (16 shots)"}
        assert {each.first for each in against(scores, "a")} == {"a (4 shots)", "b (4 shots)", "b (16 shots)"}


class TestBootstrap:
    def test_weights_agree_with_a_plain_loop(self) -> None:
        random = np.random.default_rng(1)
        values = [list(random.normal(0, 1, size)) for size in (3, 1, 4)]

        def resample() -> float:
            picked = [values[random.integers(3)] for _ in range(3)]
            return statistics.mean(statistics.mean(random.choice(each, len(each))) for each in picked)

        looped = [resample() for _ in range(4000)]
        weighted = draw_weights((3, 1, 4), False) @ np.concatenate([np.array(each) for each in values])
        assert np.mean(weighted) == pytest.approx(statistics.mean(looped), abs=0.05)
        assert np.std(weighted) == pytest.approx(statistics.stdev(looped), rel=0.08)
        assert np.quantile(weighted, [0.1, 0.9]) == pytest.approx(np.quantile(looped, [0.1, 0.9]), abs=0.08)

    @pytest.mark.parametrize(("crossed", "seeds"), [(False, 3), (True, 3), (False, 1)])
    def test_the_variance_of_a_mean_is_that_of_theory(self, crossed: bool, seeds: int) -> None:
        x = np.random.default_rng(2).normal(size=(8, seeds)) + np.arange(8)[:, None] / 3
        resampled = draw_weights((seeds,) * 8, crossed, 50_000) @ x.ravel()
        between = x.mean(axis=1).var() / 8
        if crossed:
            rest = (x - x.mean(axis=1, keepdims=True) - x.mean(axis=0) + x.mean()) ** 2
            theory = between + x.mean(axis=0).var() / seeds + rest.mean() / (8 * seeds)
        else:
            theory = between + x.var(axis=1).mean() / (8 * seeds)
        assert resampled.var() == pytest.approx(theory, rel=0.03)

    def test_weights_are_means_and_the_same_every_time(self) -> None:
        weights = draw_weights((3, 2, 3), False)
        assert weights.sum(axis=1) == pytest.approx(np.ones(len(weights)))
        assert (weights == draw_weights.__wrapped__((3, 2, 3), False)).all()

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


class TestSignificance:
    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.integers(-4, 4), min_size=2, max_size=8))
    def test_wilcoxon_by_enumeration_of_all_signs(self, whole: list[int]) -> None:
        kept = [each for each in whole if each]
        ranks = stats.rankdata(np.abs(kept)) if kept else np.zeros(0)
        sums = [abs(float(np.dot(signs, ranks))) for signs in product((-1, 1), repeat=len(kept))]
        seen = abs(float(np.dot(np.sign(kept), ranks)))
        naive = sum(each >= seen - 1e-9 for each in sums) / len(sums)
        assert wilcoxon(np.array([whole]) / 10)[0] == pytest.approx(naive)

    @pytest.mark.parametrize("size", [5, 6, 11, 13, 14, 40])
    def test_wilcoxon_is_scipys(self, size: int) -> None:
        rows = np.random.default_rng(size).normal(0.3, 1, (5, size))
        assert wilcoxon(rows) == pytest.approx(stats.wilcoxon(rows, axis=1).pvalue)
        tied = np.round(rows[0])
        assert wilcoxon(tied[None])[0] == pytest.approx(stats.wilcoxon(tied).pvalue)

    def test_equal_scores_have_p_1(self) -> None:
        assert wilcoxon(np.zeros((1, 11)))[0] == 1.0
        assert wilcoxon(np.zeros((1, 20)))[0] == 1.0
        assert wilcoxon(np.full((1, 11), 1e-14))[0] == 1.0
        assert paired_t([0.0, 0.0, 0.0]) == 1.0
        assert friedman(np.ones((11, 4))) == 1.0

    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
    def test_holm_by_its_definition(self, p_values: list[float]) -> None:
        assert holm(p_values) == pytest.approx(naive_holm(p_values))

    def test_friedman_by_its_formula(self) -> None:
        values = np.random.default_rng(1).normal(size=(11, 5))
        ranks = np.argsort(np.argsort(-values, axis=1), axis=1) + 1
        chi2 = 12 * 11 / (5 * 6) * float(((ranks.mean(axis=0) - 3) ** 2).sum())
        assert friedman(values) == pytest.approx(stats.chi2.sf(chi2, 4))

    def test_critical_differences_are_the_published_ones(self) -> None:
        # Demsar, JMLR 7 (2006), table 5 (a): the two-tailed Nemenyi test at level 0.05.
        table = {2: 1.960, 3: 2.343, 4: 2.569, 5: 2.728, 6: 2.850, 7: 2.949, 8: 3.031, 9: 3.102, 10: 3.164}
        for methods, quantile in table.items():
            factor = math.sqrt(methods * (methods + 1) / (6 * 14))
            assert critical_difference(methods, 14) == pytest.approx(quantile * factor, abs=0.001 * factor)


class TestRanks:
    def test_mean_ranks_by_hand_with_a_tie(self) -> None:
        rows: list[Row] = [
            (label, name, 1, {"all": value})
            for name, values in (("d0", (90.0, 80.0, 80.0)), ("d1", (50.0, 70.0, 60.0)))
            for label, value in zip("abc", values, strict=True)
        ]
        ranking = rank(scores_of(rows, datasets=2))
        assert [(each.label, each.rank) for each in ranking.methods] == [("b", 1.75), ("a", 2.0), ("c", 2.25)]

    @pytest.mark.parametrize("seed", range(8))
    def test_groups_and_loose_pairs_are_just_the_pairs_not_told_apart(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        skills = random.normal(0, 3, 8)
        rows: list[Row] = [
            (f"m{number}", name, draw, {"all": float(60 + skill + random.normal())})
            for name, _ in DATASETS
            for number, skill in enumerate(skills)
            for draw in (1, 2)
        ]
        ranking = rank(scores_of(rows))
        joined = {frozenset(pair) for group in ranking.groups for pair in combinations(group, 2)}
        loose = {frozenset(pair) for pair in ranking.loose}
        near = {frozenset((each.first, each.second)) for each in ranking.pairs if not each.told_apart}
        assert joined | loose == near
        assert not joined & loose
        assert 0 < len(near) < 28
        best = ranking.methods[0].label
        assert set(ranking.beside(best)) == {label for pair in near if best in pair for label in pair} - {best}

    def test_pairs_are_those_of_plain_comparisons(self) -> None:
        scores = random_scores(2, 5)
        ranking = rank(scores)
        single = [compare(scores, pair.first, pair.second).p or 0.0 for pair in ranking.pairs]
        assert [pair.p for pair in ranking.pairs] == pytest.approx(single)
        assert [pair.p_holm for pair in ranking.pairs] == pytest.approx(naive_holm(single))

    @pytest.mark.parametrize("protocol", ["base-to-novel", "cross-dataset"])
    def test_intervals_of_pairs_are_those_of_plain_comparisons(self, protocol: Protocol) -> None:
        scores = random_scores(2, 4, protocol=protocol)
        for pair in rank(scores).pairs:
            plain = compare(scores, pair.first, pair.second)
            assert plain.low is not None
            assert pair.difference == pytest.approx(plain.average)
            assert pair.low == pytest.approx(plain.low)

    def test_a_pair_whose_interval_holds_zero_is_not_told_apart(self) -> None:
        rows: list[Row] = [
            (label, name, 1, {"all": 50 + (0.1 * place if place < 10 else 40) * (label == "b") + 9 * (label == "c")})
            for place, (name, _) in enumerate(DATASETS, 1)
            for label in "abc"
        ]
        pairs = {(pair.first, pair.second): pair for pair in rank(scores_of(rows)).pairs}
        assert pairs["b", "a"].p_holm <= 0.05
        assert pairs["b", "a"].low < 0
        assert not pairs["b", "a"].told_apart
        assert pairs["c", "a"].told_apart

    @pytest.mark.parametrize(
        ("methods", "datasets", "test"),
        [
            (2, 11, "Wilcoxon with Holm's correction"),
            (10, 11, "Wilcoxon with Holm's correction"),
            (11, 11, "Nemenyi"),
            (3, 4, "Nemenyi"),
            (2, 4, "Wilcoxon with Holm's correction"),
            (3, 1, None),
        ],
    )
    def test_the_numbers_of_methods_and_datasets_choose_the_test(
        self, methods: int, datasets: int, test: str | None
    ) -> None:
        ranking = rank(random_scores(1, methods, datasets))
        assert ranking.test == test
        assert (ranking.critical_difference is not None) == (test == "Nemenyi")

    def test_nemenyi_tells_apart_by_the_difference_of_ranks(self) -> None:
        rows: list[Row] = [
            (f"m{number:02}", name, 1, {"all": 40.0 + 2 * number + place})
            for place, (name, _) in enumerate(DATASETS)
            for number in range(14)
        ]
        ranking = rank(scores_of(rows))
        ranks = {each.label: each.rank for each in ranking.methods}
        assert ranking.critical_difference is not None
        for pair in ranking.pairs:
            assert pair.told_apart == (ranks[pair.second] - ranks[pair.first] >= ranking.critical_difference)
        assert not ranking.loose

    def test_without_friedmans_consent_no_pair_is_told_apart(self) -> None:
        scores = random_scores(0, 6)
        ranking = rank(scores)
        assert ranking.friedman is not None
        assert ranking.friedman > 0.05
        assert ranking.groups == (tuple(each.label for each in ranking.methods),)
        rows: list[Row] = [
            (label, name, 1, {"all": value + 0.1 * place})
            for place, (name, _) in enumerate(DATASETS)
            for label, value in (("a", 61.0), ("b", 60.0), ("c", 40.0 + 40 * (place % 2)))
        ]
        three = rank(scores_of(rows))
        assert three.friedman == pytest.approx(0.06, abs=0.005)
        assert min(pair.p_holm for pair in three.pairs) < 0.01
        assert not any(pair.told_apart for pair in three.pairs)

    def test_a_method_with_a_hole_is_left_out_and_named(self) -> None:
        frame = drawn_frame(np.random.default_rng(1), ["a", "b", "c", "zeroshot"])
        hole = (frame["label"] == "b") & (frame["dataset"] == "d3") & (frame["seed"] == 2)
        ranking = rank(read_scores(frame[~hole], "base-to-novel", DATASETS))
        assert {each.label for each in ranking.methods} == {"a", "c", "zeroshot"}
        assert ranking.left_out == ("b: lacks scores on 1 of 11 datasets",)

    def test_a_dataset_that_few_have_is_left_out_instead(self) -> None:
        frame = drawn_frame(np.random.default_rng(1), ["a", "b", "c", "d"])
        rare = frame["label"].isin(["b", "c"]) & (frame["dataset"] == "d3")
        extra = drawn_frame(np.random.default_rng(2), ["a"], seeds=[4])
        ranking = rank(read_scores(pd.concat([frame[~rare], extra]), "base-to-novel", DATASETS))
        assert {each.label for each in ranking.methods} == {"a", "b", "c", "d"}
        assert ranking.left_out == ("Data 3: at most half of the methods have them",)
        assert ranking.seeds == (3, 3)

    def test_readings_are_not_ranked(self) -> None:
        scores = read_scores(drawn_frame(np.random.default_rng(1), ["a", "b", "b: x"]), "base-to-novel", DATASETS)
        assert {each.label for each in rank(scores).methods} == {"a", "b"}

    def test_equal_methods_are_one_group(self) -> None:
        rows: list[Row] = [(label, name, None, {"all": 50.0}) for label in "abcd" for name, _ in DATASETS]
        ranking = rank(scores_of(rows))
        assert {each.rank for each in ranking.methods} == {2.5}
        assert ranking.groups == (("a", "b", "c", "d"),)

    def test_a_single_method_is_ranked_alone_and_none_is_an_error(self) -> None:
        assert [each.rank for each in rank(random_scores(1, 1)).methods] == [1.0]
        with pytest.raises(NoScoresError, match="no methods with accuracy"):
            rank(read_scores(frame_of([]), "cross-dataset", DATASETS))

    def test_forty_methods_are_ranked_and_compared_at_once(self) -> None:
        scores = random_scores(1, 40)
        started = time.process_time()
        assert len(rank(scores).pairs) == 780
        assert len(against(scores, "m0")) == 39
        assert time.process_time() - started < 5


def naive_holm(p_values: Sequence[float]) -> list[float]:
    """The corrected p of each: of all hypotheses up to it in order, the largest p times those left."""
    order = sorted(p_values)
    steps = [min(1.0, p * (len(order) - place)) for place, p in enumerate(order)]
    return [max(steps[: order.index(p) + 1]) for p in p_values]


def width(comparison: Comparison | Ranking) -> float:
    assert isinstance(comparison, Comparison)
    assert comparison.low is not None
    assert comparison.high is not None
    return comparison.high - comparison.low
