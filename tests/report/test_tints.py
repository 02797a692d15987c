"""Tints of cells."""

from promptarena.benchmark.report.tints import Tints


def test_gains_and_losses_have_steps_and_an_outlier_does_not_pale_the_others() -> None:
    tints = Tints([*(float(place) for place in range(-10, 11)), 900.0])
    assert (tints.of(1.0), tints.of(10.0), tints.of(900.0), tints.of(-10.0)) == ("g1", "g5", "g5", "l5")
    assert (tints.of(0.0), tints.of(0.001), tints.of(None)) == ("", "", "")


def test_no_distance_and_one_distance_are_scales_too() -> None:
    assert Tints([]).of(0.0) == ""
    assert Tints([2.0]).of(2.0) == "g5"
