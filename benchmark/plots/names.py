"""The names of methods in figures: as they are spelt, or shortened so that they fit and still differ."""

from collections.abc import Mapping, Sequence

from promptarena.benchmark.plots.style import drawable, wide

LABEL, SHORT_LABEL = 34, 18
"""The most characters shown of a method's name, on a page's and on a column's width; a longer one is shortened in the
middle.
"""


def names_within(labels: Sequence[str], width: float) -> dict[str, str]:
    """The names that a figure of this width in inches shows, by label (see `shortened`)."""
    return shortened(labels, LABEL if wide(width) else SHORT_LABEL)


def shortened(labels: Sequence[str], limit: int = LABEL) -> dict[str, str]:
    """The names that plots show: shortened in the middle if too long.

    Names that would become the same keep the characters from which on they differ, or all if that does not help.

    Args:
        labels: The methods' labels.
        limit: The most characters of a name.

    Returns:
        The name by label; different labels have different names.
    """
    tail = limit // 2 - 1
    whole = {label: drawable(label) for label in labels}
    short = {
        label: name if len(name) <= limit else f"{name[: limit - tail - 1]}…{name[-tail:]}"
        for label, name in whole.items()
    }
    for same in _same(short):
        spelt = [whole[label] for label in same]
        letters = enumerate(zip(*spelt, strict=False))
        start = next((place for place, each in letters if len(set(each)) > 1), min(map(len, spelt)))
        head = limit // 3
        short |= {label: f"{whole[label][:head]}…{whole[label][start - 1 :][: limit - head - 1]}" for label in same}
    return short | {label: whole[label] for same in _same(short) for label in same}


def _same(names: Mapping[str, str]) -> list[list[str]]:
    """The labels of each name that several have."""
    by_name: dict[str, list[str]] = {}
    for label, name in names.items():
        by_name.setdefault(name, []).append(label)
    return [labels for labels in by_name.values() if len(labels) > 1]
