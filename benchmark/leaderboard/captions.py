"""The words around a leaderboard: the caption that says how to read it, and the notes on what is missing."""

from collections.abc import Iterable, Sequence

from promptarena.benchmark.core.protocol_table import Protocol, protocol_info
from promptarena.benchmark.leaderboard.aggregate import Method, Place

MINIATURE = (
    "Miniature suite: a small backbone on miniature datasets. These figures must never be compared with published ones."
)

_NAMED = 3


def caption(
    protocol: Protocol,
    suite: str,
    backbone: str,
    seeds: Sequence[int],
    shots: Sequence[int],
    miniature: bool,
    datasets: int,
) -> str:
    """How the figures of a board came about, in full sentences."""
    info = protocol_info(protocol)
    over = f"seeds {', '.join(map(str, seeds))} (n = {len(seeds)})" if seeds else "no seeds yet"
    count = f"{datasets} dataset{'' if datasets == 1 else 's'}"
    sentences = [
        f"{info.title}, suite {suite or 'unknown'}, backbone {backbone or 'unknown'}.",
        f"Top-1 accuracy in percent over all test images, last-step model, {_shots(shots)}.",
        f"Mean ± sample standard deviation (ddof 1) over {over}; interval in the CSV and JSON: Student t, 95 %.",
        "A method that draws nothing at random has one run and no spread.",
        info.average.format(count=count),
    ]
    return " ".join(sentences + ([MINIATURE] if miniature else []))


def missing_notes(methods: Iterable[Method], places: Sequence[tuple[Place, str]]) -> list[str]:
    """A line per method and reason for the places (with their titles) that have no complete figure."""
    lines = []
    for method in methods:
        gaps: dict[str, list[str]] = {}
        for place, title in places:
            figure = method.figure(place)
            if not figure.full:
                gaps.setdefault(figure.reason or "", []).append(title)
        for reason, titles in gaps.items():
            named = ", ".join(titles[:_NAMED]) + (", ..." if len(titles) > _NAMED else "")
            what = reason or "runs are missing"
            lines.append(f"{method.label}: {len(titles)} of {len(places)} figures incomplete ({named}): {what}")
    return lines


def _shots(shots: Sequence[int]) -> str:
    if not shots:
        return "no runs yet"
    listed = ", ".join(map(str, shots))
    return f"{listed} training image{'' if listed == '1' else 's'} per class"
