"""Base and novel classes, and the harmonic mean."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptarena.benchmark.core.subsets import base_classes, harmonic_mean, novel_classes, subset_labels


@given(st.integers(2, 2000))
def test_base_is_the_first_half_rounded_up(classes: int) -> None:
    base, novel = base_classes(classes), novel_classes(classes)
    assert [*base, *novel] == list(range(classes)) == list(subset_labels("all", classes))
    assert len(base) == math.ceil(classes / 2)


@given(st.floats(0.01, 100), st.floats(0.01, 100))
def test_harmonic_mean_lies_between_the_smaller_and_the_arithmetic_mean(base: float, novel: float) -> None:
    mean = harmonic_mean(base, novel)
    assert min(base, novel) * (1 - 1e-12) <= mean <= (base + novel) / 2 * (1 + 1e-12)
    assert harmonic_mean(base, base) == pytest.approx(base)


@pytest.mark.parametrize(
    ("base", "novel", "mean"), [(69.34, 74.22, 71.70), (82.69, 63.22, 71.66), (84.26, 76.10, 79.97), (0, 0, 0)]
)
def test_harmonic_mean_repeats_published_averages(base: float, novel: float, mean: float) -> None:
    assert round(harmonic_mean(base, novel), 2) == mean
