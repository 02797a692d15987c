"""Check printed tables against themselves: harmonic means and averages are recomputed from the rounded figures.

A printed number stands for all numbers that round to it. Two figures agree if some of the numbers they stand for do.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from promptarena.benchmark.core.protocol_table import protocol_info
from promptarena.benchmark.core.subsets import harmonic_mean
from promptarena.benchmark.published.rows import AVERAGE, SOURCE, PublishedRow

Interval = tuple[float, float]
"""(lower end, upper end) in percent."""
EPSILON = 1e-9
"""Float tolerance in percent: intervals that only touch agree."""

Place = tuple[str, str]
"""(dataset, metric)."""
Line = Mapping[Place, str]
"""The numbers of a method in one table, as printed."""


@dataclass(frozen=True)
class Finding:
    """What the other figures of its line say about a figure.

    Args:
        recomputed: The value that they give for it, in percent; NaN if they do not determine it.
        flag: How the figure disagrees with this value; empty if it does not.
        caution: A flagged figure that is computed from this one: one of the two is wrong.
    """

    recomputed: float
    flag: str
    caution: str


def findings(rows: Sequence[PublishedRow]) -> list[Finding]:
    """Check every row against the other figures of its line.

    A harmonic mean must be that of base and novel beside it, in the average as well. An average of base, novel or
    accuracy must be the mean over the protocol's datasets.

    Args:
        rows: All rows; those with the same source, protocol, printed name and shots form a line.

    Returns:
        One finding per row, in the same order.
    """
    lines: dict[tuple[str, ...], dict[Place, str]] = {}
    for row in rows:
        lines.setdefault(_line(row), {})[row.dataset, row.metric] = row.value
    checked = [_checked(row, lines[_line(row)]) for row in rows]
    cautions: dict[tuple[tuple[str, ...], Place], list[str]] = {}
    for row, (_, flag) in zip(rows, checked, strict=True):
        for part in _parts(row) if flag else ():
            what = "HM" if row.metric == "hm" else "average"
            caution = f"the {what} printed with it, {row.value}, does not fit"
            cautions.setdefault((_line(row), part), []).append(caution)
    return [
        Finding(computed, flag, "; ".join(cautions.get((_line(row), (row.dataset, row.metric)), ())))
        for row, (computed, flag) in zip(rows, checked, strict=True)
    ]


def interval(printed: str) -> Interval:
    """The accuracies in percent that round to a printed one, both ends included.

    >>> interval("81.5")
    (81.45, 81.55)
    """
    half = 0.5 * 10.0 ** -len(printed.partition(".")[2])
    return max(0.0, float(printed) - half), float(printed) + half


def _line(row: PublishedRow) -> tuple[str, ...]:
    return row.source, row.protocol, row.printed, row.shots


def _parts(row: PublishedRow) -> list[Place]:
    """The figures that a figure is computed from; empty for a measured one."""
    if row.metric == "hm":
        return [(row.dataset, "base"), (row.dataset, "novel")]
    if row.dataset == AVERAGE:
        return [(name, row.metric) for name in protocol_info(row.protocol).published]
    return []


def _checked(row: PublishedRow, line: Line) -> tuple[float, str]:
    """The value that its parts give (NaN: they give none), and how the printed figure disagrees with it."""
    parts = _all(line, _parts(row))
    if not parts:
        return math.nan, ""
    if row.metric == "hm":
        base, novel = parts
        computed = harmonic_mean(float(base), float(novel))
        # The harmonic mean rises with both of its parts, so its extremes are at the ends of their intervals.
        lowest, highest = (harmonic_mean(*ends) for ends in zip(interval(base), interval(novel), strict=True))
        if _common(interval(row.value), (lowest, highest)):
            return computed, ""
        return computed, f"printed {row.value}, but base {base} and novel {novel} give {computed:.2f}"
    computed = math.fsum(map(float, parts)) / len(parts)
    if _common(interval(row.value), _mean_interval(parts)):
        return computed, ""
    flag = f"printed {row.value}, but the mean of its {len(parts)} datasets is {computed:.2f}"
    with_source = _all(line, dict.fromkeys([(SOURCE, row.metric), *_parts(row)]))
    if with_source and _common(interval(row.value), _mean_interval(with_source)):
        flag += "; it is their mean with the source"
    return computed, flag


def _all(line: Line, places: Iterable[Place]) -> list[str]:
    """The numbers at these places; none if one of them is missing."""
    found = [line.get(place, "") for place in places]
    return found if all(found) else []


def _mean_interval(parts: Sequence[str]) -> Interval:
    lows, highs = zip(*map(interval, parts), strict=True)
    return math.fsum(lows) / len(parts), math.fsum(highs) / len(parts)


def _common(one: Interval, other: Interval) -> bool:
    return max(one[0], other[0]) <= min(one[1], other[1]) + EPSILON
