"""Tints of cells: how far a figure is above or below the reference, as a step of a scale."""

from collections.abc import Iterable
from statistics import quantiles

STEPS = 5
"""The number of steps on each side of zero."""


class Tints:
    """A scale of tints. Its ends are where nine of ten distances lie, so that one outlier does not make all others
    pale.

    Args:
        distances: All distances that are tinted, in points.
    """

    def __init__(self, distances: Iterable[float]) -> None:
        sizes = sorted(abs(each) for each in distances if each)
        self._end = (quantiles(sizes, n=10)[-1] if len(sizes) > 1 else sum(sizes)) or 1.0

    def of(self, distance: float | None) -> str:
        """The tint of a distance in points: "g1" to "g5" for a gain, "l1" to "l5" for a loss, empty for neither."""
        if distance is None or round(distance, 2) == 0:
            return ""
        step = max(1, min(STEPS, round(STEPS * abs(distance) / self._end)))
        return f"{'g' if distance > 0 else 'l'}{step}"
