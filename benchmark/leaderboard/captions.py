"""The words around a leaderboard: its title, the caption that says how to read it, and the notes on what is missing."""

from collections.abc import Iterable, Mapping, Sequence

from promptarena.benchmark.core.runs import Protocol
from promptarena.benchmark.leaderboard.aggregate import Method, Place

TITLES: Mapping[str, str] = {
    "base-to-novel": "Base-to-novel generalization",
    "cross-dataset": "Cross-dataset transfer",
    "domain-generalization": "Domain generalization",
    "few-shot": "Few-shot classification",
}
MINIATURE = (
    "Miniature suite: a small backbone on miniature datasets. These figures must never be compared with published ones."
)

_AVERAGES: Mapping[str, str] = {
    "base-to-novel": (
        "Average: unweighted mean over {count}; HM is the harmonic mean of the two means beside it, on the Average "
        "row too (the mean of the datasets' HMs is in the CSV and JSON)."
    ),
    "cross-dataset": "Average: unweighted mean over the targets, without the source.",
    "domain-generalization": "Average: unweighted mean over the targets, without the source.",
    "few-shot": "Average: unweighted mean over {count}.",
}
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
    over = f"seeds {', '.join(map(str, seeds))} (n = {len(seeds)})" if seeds else "no seeds yet"
    count = f"{datasets} dataset{'' if datasets == 1 else 's'}"
    sentences = [
        f"{TITLES[protocol]}, suite {suite or 'unknown'}, backbone {backbone or 'unknown'}.",
        f"Top-1 accuracy in percent over all test images, last-step model, {_shots(shots)}.",
        f"Mean ± sample standard deviation (ddof 1) over {over}; interval in the CSV and JSON: Student t, 95 %.",
        "A method that draws nothing at random has one run and no spread.",
        _AVERAGES[protocol].format(count=count),
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
