"""Boards of what is predicted beside the scores, against independent computations."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean, stdev
from typing import Any

import numpy as np
import pytest
from analysed import boards_of
from drawn_predictions import drawn, ece_by_loop, of_logits
from score_frames import frame_of
from sklearn.metrics import roc_auc_score

from promptarena.benchmark.analysis.beside import FAR, TEMPERATURE
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.predictions import Predictions, joined
from promptarena.benchmark.core.runs import Target
from promptarena.benchmark.leaderboard.build import BoardQuery

DATASETS = [("birds", "Birds"), ("cars", "Cars")]


def pair(seed: int, temperature: float = 2.5) -> tuple[Predictions, Predictions, np.ndarray, np.ndarray]:
    """Predictions without and with a temperature, the logits and the labels."""
    random = np.random.default_rng(seed)
    labels = np.arange(80) % 7
    logits = random.normal(20, 3, (80, 7)).astype(np.float32)
    logits[np.arange(80), labels] += 3
    cooled = replace(of_logits(logits / temperature, labels, subset="base-tempered"), temperature=temperature)
    return of_logits(logits, labels, subset="base"), cooled, logits, labels


def test_both_errors_and_likelihoods_are_those_of_all_logits() -> None:
    plain, cooled, logits, labels = pair(1)
    expected = [2.5]
    shares = []
    for t in (1.0, 2.5):
        exact = logits.astype(float) / t
        shares.append(np.exp(exact - np.logaddexp.reduce(exact, axis=1)[:, None]))
    expected += [100 * ece_by_loop(p.max(axis=1), p.argmax(axis=1) == labels, 15) for p in shares]
    expected += [-np.log(p[np.arange(80), labels]).mean() for p in shares]
    assert TEMPERATURE.measure(plain, cooled) == pytest.approx(expected, abs=1e-5)


def test_a_temperature_of_one_changes_nothing() -> None:
    plain, _, logits, labels = pair(2)
    t, before, after, nll, later = TEMPERATURE.measure(plain, of_logits(logits, labels))
    assert (t, before, nll) == (1.0, after, later)


def others(seed: int) -> tuple[Predictions, list[Predictions]]:
    """Predictions for images of two datasets, together and of each."""
    random = np.random.default_rng(seed)
    parts = [
        of_logits(random.normal(18, 3, (count, 6)), np.zeros(count, dtype=int), dataset=name)
        for name, count in (("cars", 40), ("dogs", 25))
    ]
    return replace(joined(parts), target=Target("birds", "far")), parts


def test_each_other_dataset_counts_the_same() -> None:
    random = np.random.default_rng(4)
    labels = np.arange(50) % 6
    own = random.normal(20, 3, (50, 6)).astype(np.float32)
    found, (far, parts) = of_logits(own, labels), others(4)
    np.testing.assert_allclose(found.log_sum_exp, np.logaddexp.reduce(own.astype(float), axis=1), atol=1e-6)

    def scores(of: Predictions) -> list[np.ndarray]:
        largest = of.logits[:, 0].astype(float)
        return [largest - of.log_sum_exp, largest, of.log_sum_exp]

    expected = []
    for place in range(3):
        mine = scores(found)[place]
        areas, accepted = [], []
        for each in parts:
            theirs = scores(each)[place]
            truth = np.r_[np.ones(len(mine)), np.zeros(len(theirs))]
            areas.append(100 * roc_auc_score(truth, np.r_[mine, theirs]))
            accepted.append(100 * np.mean(theirs >= np.sort(mine)[::-1][int(np.ceil(0.95 * len(mine))) - 1]))
        expected += [fmean(areas), fmean(accepted)]
    assert FAR.measure(found, far) == pytest.approx(expected, abs=1e-9)


def test_other_images_and_other_classes_are_refused() -> None:
    plain, cooled, _, _ = pair(1)
    with pytest.raises(UserError, match="of different images"):
        TEMPERATURE.measure(plain, replace(cooled, images=cooled.images[::-1]))
    with pytest.raises(UserError, match="among different classes"):
        FAR.measure(plain, others(1)[0])


class TestBoards:
    @pytest.fixture
    def query(self) -> BoardQuery:
        rows = [
            (label, dataset, seed, {"base": 70.0, "novel": 60.0})
            for label in ("coop", "maple", "zeroshot")
            for dataset, _ in DATASETS
            for seed in (1, 2)
        ]
        return BoardQuery(frame_of(rows, "base-to-novel"), "base-to-novel", DATASETS)

    def source(self, query: BoardQuery, *lacking: tuple[str, int]) -> Any:
        runs = {row["run_id"]: row for row in query.frame.to_dict("records")}

        def found(run_id: str, target: Target) -> Sequence[Predictions]:
            row = runs[run_id]
            seed, beside = int(row["seed"]), target.scored_as != target
            if beside and (row["label"], seed) in lacking:
                return ()
            if target.subset == "far":
                return [replace(drawn(30, 6, seed=seed, dataset="dogs"), target=target)]
            one = replace(drawn(60, 6, seed=seed, dataset=target.dataset), target=target)
            return [replace(one, temperature=1.0 + seed)] if beside else [one]

        return found

    def test_figures_are_means_over_seeds(self, query: BoardQuery) -> None:
        (board,) = boards_of(query, self.source(query), ["temperature"])
        assert [column.title for column in board.tables[1].columns][:3] == ["T", "ECE", "ECE with T"]
        assert {column.group for column in board.tables[1].columns} == {"Base classes", "Novel classes"}
        cell = board.tables[1].rows[0].cells[0]
        assert (cell.value, cell.std) == pytest.approx((2.5, stdev([2.0, 3.0])))

    def test_far_images_are_scored_among_the_classes_of_the_training(self, query: BoardQuery) -> None:
        (board,) = boards_of(query, self.source(query), ["far-ood"])
        assert {column.group for column in board.tables[0].columns} == {
            f"Base classes: {score}" for score in ("MCM", "Max logit", "Energy")
        }

    @pytest.mark.parametrize("name", ["temperature", "far-ood"])
    def test_what_is_missing_is_said_in_the_cell_and_counted_by_method_in_a_note(
        self, query: BoardQuery, name: str
    ) -> None:
        (board,) = boards_of(query, self.source(query, ("coop", 1), ("maple", 1), ("maple", 2)), [name])
        assert [row.label for row in board.tables[1].rows] == ["zeroshot", "coop"]
        partly = board.tables[1].rows[1].cells[0]
        assert (partly.filled, partly.expected, partly.full) == (1, 2, False)
        assert len(board.notes) == 1
        assert board.notes[0].startswith("6 runs of coop, maple keep no predictions")
        assert "promptarena predictions --" in board.notes[0]

    @pytest.mark.parametrize("name", ["temperature", "far-ood"])
    def test_without_any_there_is_no_board(self, query: BoardQuery, name: str) -> None:
        every = [(label, seed) for label in ("coop", "maple", "zeroshot") for seed in (1, 2)]
        assert boards_of(query, self.source(query, *every), [name]) == ()
