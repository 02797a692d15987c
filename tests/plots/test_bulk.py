"""Axes that follow the bulk."""

import pytest

from promptarena.benchmark.plots.bulk import bulk_limits, edge, ends


def test_an_outlier_does_not_stretch_the_axis() -> None:
    values = [80.0, 81.0, 82.0, 83.0, 84.0, 24.0]
    low, high = bulk_limits(values)
    assert 78 < low < 80
    assert 84 < high < 86
    assert edge(24.0, low, high) == (low, "◂ 24.0")
    assert edge(99.0, low, high) == (high, "99.0 ▸")
    assert edge(82.0, low, high) == (82.0, "")


@pytest.mark.parametrize("values", [[50.0], [50.0, 50.0], [0.0, 100.0], [1.0, 2.0, 3.0, 4.0, 5.0]])
def test_without_outliers_every_value_is_inside(values: list[float]) -> None:
    low, high = bulk_limits(values, [0.5] * len(values))
    assert all(low < value < high for value in values)


def test_an_interval_that_goes_on_says_so() -> None:
    assert ends(50.0, 5.0, 40.0, 60.0) == (45.0, 55.0, [])
    assert ends(50.0, 15.0, 40.0, 60.0) == (40.0, 60.0, [40.0, 60.0])
