"""Ranks of many methods against plain recomputation, and their rules for holes and small samples."""

import time
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from score_frames import DATASETS, Row, drawn_frame, frame_of
from scored import naive_holm, random_scores, scores_of

from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.core.protocol_table import Protocol
from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.statistics.paired import against, compare
from promptarena.benchmark.statistics.ranks import rank
from promptarena.benchmark.statistics.scores import NoScoresError, read_scores


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
    def test_groups_and_loose_pairs_are_just_the_pairs_not_significantly_different(self, seed: int) -> None:
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
        near = {frozenset((each.first, each.second)) for each in ranking.pairs if not each.significant}
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

    def test_a_pair_whose_interval_holds_zero_is_not_significantly_different(self) -> None:
        rows: list[Row] = [
            (label, name, 1, {"all": 50 + (0.1 * place if place < 10 else 40) * (label == "b") + 9 * (label == "c")})
            for place, (name, _) in enumerate(DATASETS, 1)
            for label in "abc"
        ]
        pairs = {(pair.first, pair.second): pair for pair in rank(scores_of(rows)).pairs}
        assert pairs["b", "a"].p_holm <= 0.05
        assert pairs["b", "a"].low < 0
        assert not pairs["b", "a"].significant
        assert pairs["c", "a"].significant

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
            assert pair.significant == (ranks[pair.second] - ranks[pair.first] >= ranking.critical_difference)
        assert not ranking.loose

    def test_without_friedmans_consent_no_pair_is_significantly_different(self) -> None:
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
        assert not any(pair.significant for pair in three.pairs)

    def test_a_method_with_a_hole_is_left_out_and_named(self) -> None:
        frame = drawn_frame(np.random.default_rng(1), ["a", "b", "c", "zeroshot"])
        hole = (frame["label"] == "b") & (frame["dataset"] == "d3") & (frame["seed"] == 2)
        ranking = rank(read_scores(BoardQuery(frame[~hole], "base-to-novel", DATASETS)))
        assert {each.label for each in ranking.methods} == {"a", "c", "zeroshot"}
        assert ranking.left_out == ("b: lacks scores on 1 of 11 datasets",)

    def test_a_dataset_that_few_have_is_left_out_instead(self) -> None:
        frame = drawn_frame(np.random.default_rng(1), ["a", "b", "c", "d"])
        rare = frame["label"].isin(["b", "c"]) & (frame["dataset"] == "d3")
        extra = drawn_frame(np.random.default_rng(2), ["a"], seeds=[4])
        ranking = rank(read_scores(BoardQuery(pd.concat([frame[~rare], extra]), "base-to-novel", DATASETS)))
        assert {each.label for each in ranking.methods} == {"a", "b", "c", "d"}
        assert ranking.left_out == ("Data 3: at most half of the methods have them",)
        assert ranking.seeds == (3, 3)

    def test_readings_are_not_ranked(self) -> None:
        scores = read_scores(
            BoardQuery(
                drawn_frame(np.random.default_rng(1), ["a", "b", Label("b", reading="x")]), "base-to-novel", DATASETS
            )
        )
        assert {each.label for each in rank(scores).methods} == {"a", "b"}

    def test_equal_methods_are_one_group(self) -> None:
        rows: list[Row] = [(label, name, None, {"all": 50.0}) for label in "abcd" for name, _ in DATASETS]
        ranking = rank(scores_of(rows))
        assert {each.rank for each in ranking.methods} == {2.5}
        assert ranking.groups == (("a", "b", "c", "d"),)

    def test_a_single_method_is_ranked_alone_and_none_is_an_error(self) -> None:
        assert [each.rank for each in rank(random_scores(1, 1)).methods] == [1.0]
        with pytest.raises(NoScoresError, match="no methods with accuracy"):
            rank(read_scores(BoardQuery(frame_of([]), "cross-dataset", DATASETS)))

    def test_forty_methods_are_ranked_and_compared_at_once(self) -> None:
        scores = random_scores(1, 40)
        started = time.process_time()
        assert len(rank(scores).pairs) == 780
        assert len(against(scores, "m0")) == 39
        assert time.process_time() - started < 5
