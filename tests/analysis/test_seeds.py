"""Agreement and ensembles of seeds, against all logits."""

import numpy as np
import pytest
from drawn_predictions import drawn, of_logits
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from promptarena.benchmark.analysis.seeds import SEEDS, agreement, ensemble
from promptarena.benchmark.core.errors import UserError


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


def test_one_seed_has_no_figures_and_equal_ones_agree() -> None:
    found = drawn(60, 6, seed=1)
    assert SEEDS.figures({1: found}) == {}
    assert SEEDS.figures({1: found, 2: found}) == {
        None: pytest.approx((100.0, 100 * found.right.mean(), 100 * found.right.mean(), 0.0))
    }


def test_seeds_of_different_images_are_refused() -> None:
    with pytest.raises(UserError, match="different images"):
        SEEDS.measure([drawn(60, 6), drawn(66, 6)])
