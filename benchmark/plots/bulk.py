"""Axes that follow the bulk of the values, so that one outlier does not make the others unreadable."""

from collections.abc import Sequence
from statistics import quantiles

_REACH = 2.5
"""A value further from the quartiles than so many interquartile ranges is an outlier."""
_LEAST = 1.0
"""The least interquartile range that counts, in the values' unit: nearly equal values have no outliers."""
_ROOM = 0.5
"""How far intervals may stretch the axis on each side, as a share of the distance between the values."""
_MARGIN = 0.06
"""The empty share of the axis on each side."""


def bulk_limits(values: Sequence[float], halves: Sequence[float] = ()) -> tuple[float, float]:
    """The ends of an axis for the bulk of the values.

    Args:
        values: At least one value.
        halves: Half the width of the interval of each. The axis reaches to the ends of the intervals, but beyond the
            values by at most half of the distance between them.

    Returns:
        The lower and the upper end.
    """
    first, last = bulk(values)
    inside = [
        (each, half) for each, half in zip(values, halves or [0.0] * len(values), strict=True) if first <= each <= last
    ]
    least, most = min(each for each, _ in inside), max(each for each, _ in inside)
    room = _ROOM * max(most - least, _LEAST)
    low = max(min(each - half for each, half in inside), least - room)
    high = min(max(each + half for each, half in inside), most + room)
    margin = _MARGIN * max(high - low, _LEAST)
    return low - margin, high + margin


def bulk(values: Sequence[float]) -> tuple[float, float]:
    """Between which two numbers a value is no outlier."""
    if len(values) < 4:
        return min(values), max(values)
    first, _, third = quantiles(values, n=4, method="inclusive")
    reach = _REACH * max(third - first, _LEAST)
    return first - reach, third + reach


def edge(value: float, low: float, high: float) -> tuple[float, str]:
    """Where a value is drawn on an axis from `low` to `high`, and the text beside it if that is not its place."""
    if value < low:
        return low, f"◂ {value:.1f}"
    if value > high:
        return high, f"{value:.1f} ▸"
    return value, ""


def ends(centre: float, half: float, low: float, high: float) -> tuple[float, float, list[float]]:
    """The part of an interval on an axis from `low` to `high`, and the ends of the axis beyond which it goes on."""
    start, end = centre - half, centre + half
    return max(start, low), min(end, high), [*([low] if start < low else []), *([high] if end > high else [])]
