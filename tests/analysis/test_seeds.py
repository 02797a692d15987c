"""Agreement and ensembles of seeds, against all logits."""

from dataclasses import replace
from statistics import fmean, stdev
from typing import Any

import numpy as np
import pytest
from analysed import boards_of
from drawn_predictions import drawn, of_logits
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from score_frames import frame_of

from promptarena.benchmark.analysis.seeds import agreement, ensemble
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.predictions import Predictions
from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.leaderboard.formats.registry import format_names
from promptarena.benchmark.leaderboard.formats.render import render


@given(
    seed=st.integers(0, 10**6), classes=st.integers(2, 40), seeds=st.integers(2, 4), scale=st.sampled_from([0.1, 1, 5])
)
def test_an_ensemble_is_that_of_all_probabilities_or_open(seed: int, classes: int, seeds: int, scale: float) -> None:
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, 50)
    common = random.normal(0, scale, (50, classes))
    logits = [(common + random.normal(0, scale, (50, classes))).astype(np.float32) for _ in range(seeds)]
    whole = sum(softmax(each.astype(np.float64), axis=1) for each in logits)
    expected = np.argmax(whole, axis=1) == labels
    right, undecided = ensemble([of_logits(each, labels) for each in logits])
    assert not (right & undecided).any()
    np.testing.assert_array_equal(right[~undecided], expected[~undecided])
    if classes <= 5:
        assert not undecided.any()


def test_nearly_all_images_are_decided_at_usual_logits() -> None:
    random = np.random.default_rng(0)
    labels = np.arange(2000) % 100
    common = random.normal(20, 2, (2000, 100))
    common[np.arange(2000), labels] += 5
    found = [of_logits(common + random.normal(0, 0.5, common.shape), labels) for _ in range(3)]
    assert ensemble(found)[1].mean() < 0.02


def test_agreement_is_the_mean_over_pairs() -> None:
    labels = np.zeros(4, dtype=int)
    predicted = np.array([[0, 0, 1, 1], [0, 1, 1, 1], [0, 1, 0, 1]])
    found = [of_logits(np.eye(2)[each], labels) for each in predicted]
    assert agreement(found) == pytest.approx((3 / 4 + 2 / 4 + 3 / 4) / 3)


DATASETS = [("birds", "Birds"), ("cars", "Cars")]


def runs_of(seeds: dict[str, tuple[int, ...]]) -> tuple[BoardQuery, Any]:
    """A leaderboard of methods with these seeds, and the predictions of their runs, drawn from one generator."""
    rows = [
        (label, dataset, seed, {"base": 70.0, "novel": 60.0})
        for label, each in seeds.items()
        for dataset, _ in DATASETS
        for seed in each
    ]
    query = BoardQuery(frame_of(rows, "base-to-novel"), "base-to-novel", DATASETS)
    seed_of = {row["run_id"]: int(row["seed"]) for row in query.frame.to_dict("records")}
    return query, lambda run_id, target: [found_of(target.dataset, target.subset, seed_of[run_id])]


def logits_of(dataset: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Of the cars, the five largest logits do not decide everything."""
    classes, scale = (4, 1.0) if dataset == "birds" else (40, 0.3)
    random = np.random.default_rng(5)
    common, labels = random.normal(0, scale, (80, classes)), np.arange(80) % classes
    return (common + np.random.default_rng(seed).normal(0, scale, (80, classes))).astype(np.float32), labels


def found_of(dataset: str, subset: Any, seed: int) -> Predictions:
    return of_logits(*logits_of(dataset, seed), dataset=dataset, subset=subset)


def test_the_ensemble_is_a_further_row_and_says_between_what_it_lies() -> None:
    query, source = runs_of({"coop": (1, 2, 3)})
    (board,) = boards_of(query, source, ["seeds"])
    tables = {table.key: table for table in board.tables}
    for dataset, _ in DATASETS:
        method, together = tables[dataset].rows
        assert (method.label, together.label) == ("coop", "coop: ensemble")
        each = [logits_of(dataset, seed) for seed in (1, 2, 3)]
        alone = [100 * np.mean(logits.argmax(axis=1) == labels) for logits, labels in each]
        assert method.cells[0].value == pytest.approx(fmean(alone), abs=1e-9)
        assert method.cells[0].std == pytest.approx(stdev(alone), abs=1e-9)
        whole = sum(softmax(logits.astype(float), axis=1) for logits, _ in each)
        truth = 100 * np.mean(whole.argmax(axis=1) == each[0][1])
        accuracy, _, undecided = together.cells[:3]
        if dataset == "birds":
            assert accuracy.value == pytest.approx(truth, abs=1e-9)
            assert undecided.value == 0
        else:
            assert accuracy.value is None, "never a plain figure"
            low, high = map(float, accuracy.note.split(" to "))
            assert low - 0.01 <= truth <= high + 0.01
            assert undecided.value == round((high - low) * 80 / 100) > 0
            assert f"{undecided.value:.0f} images open" in (accuracy.reason or "")
    _, average = tables["average"].rows
    assert average.cells[0].value is None
    assert " to " in average.cells[0].note
    assert average.cells[2].value == tables["cars"].rows[1].cells[2].value
    assert {name: bool(render(board, name).strip()) for name in format_names()} == dict.fromkeys(format_names(), True)


def test_one_seed_or_a_missing_one_has_no_rows_and_equal_seeds_agree() -> None:
    assert boards_of(*runs_of({"coop": (1,)}), ["seeds"]) == ()
    query, _ = runs_of({"coop": (1, 2), "maple": (1,)})
    found = drawn(60, 4, seed=1)
    (board,) = boards_of(query, lambda _, target: [replace(found, target=target)], ["seeds"])
    method, together = board.tables[1].rows
    right = 100 * found.right.mean()
    assert [cell.value for cell in method.cells[:3]] == pytest.approx([right, 100, None])
    assert [cell.value for cell in together.cells[:3]] == pytest.approx([right, None, 0])


def test_seeds_of_different_images_are_refused() -> None:
    query, _ = runs_of({"coop": (1, 2)})
    sizes = iter([60, 66] * 20)
    with pytest.raises(UserError, match="different images"):
        boards_of(query, lambda _, target: [replace(drawn(next(sizes), 4), target=target)], ["seeds"])
