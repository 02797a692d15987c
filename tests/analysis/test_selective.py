"""Selective prediction: planted cases and independent computations."""

from itertools import permutations

import numpy as np
import pytest
from drawn_predictions import drawn, of_logits
from sklearn.metrics import roc_auc_score, roc_curve

from promptarena.benchmark.analysis.selective import SELECTIVE, area_under_risks, risks
from promptarena.benchmark.analysis.subjects import log_confidence


def curve(right: np.ndarray) -> np.ndarray:
    return np.cumsum(~right) / np.arange(1, len(right) + 1)


def test_risks_are_the_errors_among_the_surest() -> None:
    random = np.random.default_rng(1)
    sure, right = random.permutation(50).astype(float), random.random(50) < 0.7
    np.testing.assert_allclose(risks(sure, right), curve(right[np.argsort(-sure)]), atol=1e-12)


def test_equally_sure_ones_count_as_the_mean_over_their_orders() -> None:
    right = np.array([True, False, False, True, True])
    expected = np.mean([curve(np.array(order)) for order in permutations(right.tolist())], axis=0)
    np.testing.assert_allclose(risks(np.zeros(5), right), expected, atol=1e-12)


@pytest.mark.parametrize(("sure", "area"), [([4, 3, 2, 1], 0.5 * (1 / 3 + 1 / 2)), ([1, 2, 3, 4], 0.5 * 11 / 6)])
def test_a_good_order_and_the_reversed_one(sure: list[int], area: float) -> None:
    right = np.array([True, True, False, False])
    assert area_under_risks(np.array(sure, dtype=float), right) == pytest.approx(
        np.mean(curve(right[np.argsort(-np.array(sure))])), abs=1e-12
    )
    assert area > 0


def test_figures_are_those_of_scikit_learn() -> None:
    found = drawn(400, 8, skill=2.0)
    sure, right = log_confidence(found), found.right
    false, true, _ = roc_curve(right, sure, drop_intermediate=False)
    _, area, accepted = SELECTIVE.measure(found)
    assert area == pytest.approx(100 * roc_auc_score(right, sure), abs=1e-9)
    assert accepted == pytest.approx(100 * false[np.argmax(true >= 0.95)], abs=1e-9)


@pytest.mark.parametrize("right", [True, False])
def test_without_two_kinds_there_is_no_auroc(right: bool) -> None:
    labels = np.arange(12) % 3
    logits = np.eye(3)[labels if right else (labels + 1) % 3]
    area, failure, accepted = SELECTIVE.measure(of_logits(logits, labels))
    assert (area, failure, accepted) == (0.0 if right else 100.0, None, None)
