"""What is read from a frame as scores is what the leaderboard shows."""

import math

import numpy as np
import pandas as pd
import pytest
from score_frames import DATASETS, drawn_frame, frame_of
from scored import SOURCE

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.core.protocol_table import Protocol
from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.statistics.paired import compare
from promptarena.benchmark.statistics.ranks import rank
from promptarena.benchmark.statistics.scores import read_scores


class TestScores:
    @pytest.mark.parametrize("protocol", ["base-to-novel", "cross-dataset", "few-shot"])
    def test_averages_and_their_differences_are_those_of_the_leaderboard(self, protocol: Protocol) -> None:
        frame = drawn_frame(np.random.default_rng(1), ["a", "b", "zeroshot"], protocol, shots=(4, 16))
        datasets = (SOURCE, *DATASETS) if protocol == "cross-dataset" else DATASETS
        board = BoardQuery(frame, protocol, datasets, shots=(4, 16)).board
        scores = read_scores(BoardQuery(frame, protocol, datasets))
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
        one, other = (read_scores(BoardQuery(each, "base-to-novel", DATASETS)) for each in (frame, mixed))
        assert compare(one, "a", "zeroshot") == compare(other, "a", "zeroshot")
        assert rank(one) == rank(other)

    @pytest.mark.parametrize("value", [math.nan, math.inf, -0.1, 1.5])
    def test_an_accuracy_that_is_none_is_refused_with_its_place(self, value: float) -> None:
        frame = drawn_frame(np.random.default_rng(3), ["a"])
        frame.loc[7, "value"] = value
        with pytest.raises(UserError, match=r"a on d1/novel .*accuracy .*delete run r7 in MLflow"):
            read_scores(BoardQuery(frame, "base-to-novel", DATASETS))

    def test_mixed_backbones_and_unknown_metrics_are_refused(self) -> None:
        frame = drawn_frame(np.random.default_rng(4), ["a"])
        with pytest.raises(UserError, match="no metric 'accuracy'; known: hm, base, novel"):
            read_scores(BoardQuery(frame, "base-to-novel", DATASETS), metric="accuracy")
        frame.loc[0, "backbone"] = "other"
        with pytest.raises(UserError, match="several values of backbone cannot be compared: clip, other"):
            read_scores(BoardQuery(frame, "base-to-novel", DATASETS))

    def test_own_splits_are_left_out_beside_published_ones(self) -> None:
        rows = [("a", "d0", 1, {"all": 60.0}), ("b", "d0", 1, {"all": 50.0})]
        own = frame_of([("a", "d0", 1, {"all": 90.0})], "few-shot", own_split=True)
        both = pd.concat([frame_of(rows, "few-shot"), own], ignore_index=True)
        assert compare(read_scores(BoardQuery(both, "few-shot", DATASETS)), "a", "b").average == pytest.approx(10)

    def test_a_further_reading_is_known_as_one(self) -> None:
        labels = ["dear", Label("dear", reading="class feature"), "coop: not a reading"]
        scores = read_scores(
            BoardQuery(drawn_frame(np.random.default_rng(5), labels, shots=(4, 16)), "base-to-novel", DATASETS)
        )
        assert scores.readings == {"dear: class feature (4 shots)", "dear: class feature (16 shots)"}

    def test_seeds_pick_runs_and_leave_seedless_methods(self) -> None:
        frame = drawn_frame(np.random.default_rng(6), ["a", "zeroshot"])
        comparison = compare(read_scores(BoardQuery(frame, "base-to-novel", DATASETS, seeds=[1, 3])), "a", "zeroshot")
        assert comparison.seeds == (2, 2)
