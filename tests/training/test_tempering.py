"""The temperature of a learner: what is fitted is best, and depends on nothing but training images."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax

from promptarena.benchmark.training.tempering import LEAST, MOST, temperature, tempered


def sampled(true: float, count: int = 20_000, classes: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn with the probabilities of the logits divided by `true`."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 4, (count, classes))
    noise = random.gumbel(size=logits.shape)
    return logits, (logits / true + noise).argmax(axis=1)


@pytest.mark.parametrize("true", [0.5, 1.0, 3.0])
def test_a_planted_temperature_is_found(true: float) -> None:
    assert temperature(*sampled(true)) == pytest.approx(true, rel=0.03)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), true=st.floats(0.3, 5), shift=st.floats(-50, 50))
def test_no_other_temperature_makes_the_labels_more_likely(seed: int, true: float, shift: float) -> None:
    logits, labels = sampled(true, 60, 4, seed)
    found = temperature(logits + shift, labels)

    def likelihood(t: float) -> float:
        return float(log_softmax(logits / t, axis=1)[np.arange(60), labels].mean())

    assert LEAST <= found <= MOST
    others = np.geomspace(LEAST, MOST, 400)
    assert likelihood(found) >= max(map(likelihood, others)) - 1e-9


@given(factor=st.floats(0.5, 2))
@settings(max_examples=10, deadline=None)
def test_scaled_logits_have_the_scaled_temperature(factor: float) -> None:
    logits, labels = sampled(1.0, 500)
    assert temperature(factor * logits, labels) == pytest.approx(factor * temperature(logits, labels), rel=1e-5)


def test_a_learner_that_is_always_right_or_always_wrong_stays_within_the_bounds() -> None:
    labels = np.arange(30) % 3
    logits = 5.0 * np.eye(3)[labels]
    assert temperature(logits, labels) == pytest.approx(LEAST, rel=1e-3)
    assert temperature(logits, (labels + 1) % 3) == pytest.approx(MOST, rel=1e-3)


def test_every_reading_is_divided_by_its_own_temperature() -> None:
    class Two:
        name = "it"

        def readings(self, images: object, classifier: object) -> dict[str, torch.Tensor]:
            return {"": torch.ones(1, 2), "other": torch.full((1, 2), 6.0)}

    learner = tempered(Two(), {"": 2.0, "other": 3.0})  # type: ignore[arg-type]
    found = learner.readings(None, None)  # type: ignore[arg-type]
    assert {name: logits.tolist() for name, logits in found.items()} == {"": [[0.5, 0.5]], "other": [[2.0, 2.0]]}
    assert learner.name == "it"  # type: ignore[attr-defined]
