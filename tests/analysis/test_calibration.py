"""Calibration on planted cases, and against figures computed by loops."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from drawn_predictions import drawn, ece_by_loop, of_logits
from scipy.special import log_softmax, softmax

from promptarena.benchmark.analysis.calibration import (
    CALIBRATION,
    adaptive_calibration_error,
    brier,
    calibration_error,
    negative_log_likelihood,
)
from promptarena.benchmark.analysis.subjects import confidence

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("images", [1, 14, 500])
def test_the_error_is_what_a_loop_over_bins_gives(images: int) -> None:
    sure, right = RANDOM.uniform(0.01, 1, images), RANDOM.random(images) < 0.6
    assert calibration_error(sure, right) == pytest.approx(ece_by_loop(sure, right, 15), abs=1e-12)


def test_draws_with_the_stated_probabilities_are_calibrated() -> None:
    sure = RANDOM.uniform(0.3, 1, 400_000)
    right = RANDOM.random(len(sure)) < sure
    assert calibration_error(sure, right) < 0.01
    assert adaptive_calibration_error(sure, right) < 0.01


@pytest.mark.parametrize("measure", [calibration_error, adaptive_calibration_error])
def test_one_that_is_always_sure_and_wrong_half_the_time_is_off_by_a_half(measure: Any) -> None:
    sure, right = np.ones(90), np.arange(90) % 2 == 0
    assert measure(sure, right) == pytest.approx(0.5)


def test_bins_hold_equally_many_images() -> None:
    sure, right = RANDOM.uniform(0, 1, 103), RANDOM.random(103) < 0.5
    ordered = np.argsort(sure)
    sizes = [7] * 13 + [6] * 2
    ends = np.cumsum([0, *sizes])
    gaps = [abs(right[ordered[a:b]].mean() - sure[ordered[a:b]].mean()) * (b - a) / 103 for a, b in pairwise(ends)]
    assert adaptive_calibration_error(sure, right) == pytest.approx(sum(gaps), abs=1e-12)


@pytest.mark.parametrize("classes", [1, 2, 5, 40])
def test_likelihood_and_brier_are_those_of_all_logits(classes: int) -> None:
    random = np.random.default_rng(classes)
    labels = random.integers(0, classes, 200)
    logits = random.normal(20, 3, (200, classes)).astype(np.float32)
    found, exact = of_logits(logits, labels), logits.astype(float)
    rows = np.arange(200)
    assert negative_log_likelihood(found) == pytest.approx(-log_softmax(exact, axis=1)[rows, labels].mean(), abs=2e-7)
    shares = softmax(exact, axis=1)
    shares[rows, labels] -= 1
    assert brier(found) == pytest.approx(np.square(shares).sum(axis=1).mean(), abs=2e-7)


def test_a_constant_predictor_is_known() -> None:
    found = of_logits(np.zeros((40, 4)), np.arange(40) % 4)
    np.testing.assert_allclose(confidence(found), 0.25)
    assert CALIBRATION.measure(found) == pytest.approx((0.0, 0.0, np.log(4), 0.75), abs=1e-6)


def test_every_figure_follows_from_the_columns_of_the_file() -> None:
    found = drawn(300, 12)
    sure = np.exp(found.logits[:, 0].astype(float) - found.log_sum_exp)
    of_label = np.exp(found.label_logit.astype(float) - found.log_sum_exp)
    expected = (
        100 * ece_by_loop(sure, found.rank == 1, 15),
        -np.log(of_label).mean(),
        np.mean(1 - 2 * of_label + found.square_sum.astype(float)),
    )
    ece, _, nll, score = CALIBRATION.measure(found)
    assert (ece, nll, score) == pytest.approx(expected, abs=1e-9)
