"""A warning about trained methods that classify what they were trained on worse than zero-shot CLIP."""

from collections.abc import Collection, Sequence

from promptarena.benchmark.core.protocol_table import ProtocolInfo
from promptarena.benchmark.leaderboard.aggregate import MethodScores, Place

REFERENCE = "zeroshot"
SEVERAL = 2
"""Datasets from which on the warning is given: a method may be below zero-shot on one of them by chance."""
_NAMED = 3


def trained_places(
    info: ProtocolInfo, datasets: Sequence[tuple[str, str]], taught: Sequence[int]
) -> list[tuple[Place, str]]:
    """The figures on the classes that were trained on.

    Args:
        info: The protocol.
        datasets: (card name, title) of the scored datasets; in the transfer protocols the first is the source.
        taught: The numbers of training images per class; of few-shot the largest counts.

    Returns:
        Each figure with its dataset's title.
    """
    match info.columns:
        case "metrics":
            return [(Place(name, "base"), title) for name, title in datasets]
        case "datasets":
            return [(Place(name, "all"), title) for name, title in datasets[:1]]
        case "shots":
            return [(Place(name, "all", max(taught, default=0)), title) for name, title in datasets]


def below_zeroshot(
    methods: Sequence[MethodScores], trained: Collection[str], places: Sequence[tuple[Place, str]]
) -> list[str]:
    """Notes on methods that training made worse.

    Args:
        methods: The rows of the leaderboard.
        trained: The labels of the methods that train parameters.
        places: The figures on the classes that were trained on, each with its dataset's title.

    Returns:
        A line for each trained method that is below zero-shot on several datasets; none without zero-shot's row.
    """
    plain = {
        method.name.shots: method
        for method in methods
        if method.name.method == REFERENCE and not (method.name.overrides or method.name.reading)
    }
    notes = []
    for method in methods:
        zeroshot = plain.get(method.name.shots)
        if zeroshot is None or method.label not in trained:
            continue
        below = [title for place, title in places if _is_below(method, zeroshot, place)]
        if len(below) >= SEVERAL:
            named = ", ".join(below[:_NAMED]) + (", ..." if len(below) > _NAMED else "")
            notes.append(
                f"Warning: {method.label} was trained, but ends below {zeroshot.label} on the classes it was trained "
                f"on in {len(below)} of {len(places)} datasets ({named}); check its recipe and its seeds"
            )
    return notes


def _is_below(method: MethodScores, zeroshot: MethodScores, place: Place) -> bool:
    one, other = method.figure(place), zeroshot.figure(place)
    return one.full and other.full and one.value < other.value
