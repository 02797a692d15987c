"""Paired comparisons against plain recomputation, and their rules for holes, seeds and small samples."""

import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from score_frames import DATASETS, Row, drawn_frame, frame_of
from scored import SOURCE, naive_holm, random_scores, scores_of, shifted

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.statistics.paired import against, compare
from promptarena.benchmark.statistics.scores import NoScoresError, read_scores


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
        comparison = compare(read_scores(BoardQuery(frame_of(rows), "base-to-novel", DATASETS[:2])), "a", "b")
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
        assert (one.low, one.p, one.significant) == (None, None, False)
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

    def test_significance_needs_both_the_interval_and_the_test(self) -> None:
        clear = compare(scores_of(shifted([(1.0, 2.0, 3.0)] * 6)), "a", "b")
        assert clear.significant
        few = compare(scores_of(shifted([(1.0, 2.0, 3.0)] * 5)), "a", "b")
        assert few.p_interval is not None
        assert few.p_interval < 0.01
        assert not few.significant
        outlier = compare(scores_of(shifted([(0.1 * place,) * 3 for place in range(1, 11)] + [(40.0,) * 3])), "a", "b")
        assert outlier.p == pytest.approx(2 / 2**11)
        assert outlier.low is not None
        assert outlier.low < 0
        assert not outlier.significant

    def test_comparisons_with_a_reference_are_corrected_together(self) -> None:
        scores = random_scores(4, 6)
        comparisons = against(scores, "m0")
        single = [compare(scores, each.first, "m0").p or 0.0 for each in comparisons]
        assert [each.p_holm for each in comparisons] == pytest.approx(naive_holm(single))
        assert {each.family for each in comparisons} == {5}

    def test_where_trainings_are_shared_the_intervals_are_corrected_too(self) -> None:
        random = np.random.default_rng(1)
        frame = drawn_frame(random, [f"m{number}" for number in range(8)], "cross-dataset")
        scores = read_scores(BoardQuery(frame, "cross-dataset", (SOURCE, *DATASETS)))
        single = [compare(scores, each.first, "m0").p_interval or 0.0 for each in against(scores, "m0")]
        assert [each.p_interval for each in against(scores, "m0")] == pytest.approx(naive_holm(single))

    def test_readings_are_compared_only_by_name(self) -> None:
        scores = read_scores(
            BoardQuery(
                drawn_frame(np.random.default_rng(1), ["a", "b", Label("b", reading="x")]), "base-to-novel", DATASETS
            )
        )
        assert [each.first for each in against(scores, "a")] == ["b"]
        assert [each.first for each in against(scores, "b: x")] == ["a", "b"]
        assert compare(scores, "b: x", "b").first == "b: x"

    def test_a_method_that_ran_with_several_shots_is_found_with_the_most(self) -> None:
        frame = drawn_frame(np.random.default_rng(1), ["a", "b"], shots=(16, 4))
        scores = read_scores(BoardQuery(frame, "base-to-novel", DATASETS, labels=[Label("a"), Label("b")]))
        assert {each.second for each in against(scores, "a")} == {"a (16 shots)"}
        assert {each.first for each in against(scores, "a")} == {"a (4 shots)", "b (4 shots)", "b (16 shots)"}
