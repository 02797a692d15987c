"""The text around a leaderboard: the caption on how to read it, and the notes on missing figures."""

from collections.abc import Iterable, Sequence

from promptarena.benchmark.core.protocol_table import Protocol, protocol_info
from promptarena.benchmark.core.suite_layout import limit_of
from promptarena.benchmark.leaderboard.aggregate import MethodScores, Place

NEVER_COMPARED = "These figures must never be compared with published ones."
MINIATURE = f"Miniature suite: a small backbone on miniature datasets. {NEVER_COMPARED}"

_NAMED = 3
"""How many missing figures a note names; of the others it gives the number."""


def title_of(protocol: Protocol, suite: str) -> str:
    """The title of a protocol's tables and plots.

    Args:
        protocol: The protocol's name.
        suite: The suite's name; empty when unknown.

    Returns:
        The protocol's title; where a limit cut the test images, the limit as well.
    """
    title, limit = protocol_info(protocol).title, limit_of(suite)
    return title if limit is None else f"{title}, at most {limit} test images per dataset"


def caption(
    protocol: Protocol,
    suite: str,
    backbone: str,
    seeds: Sequence[int],
    shots: Sequence[int],
    miniature: bool,
    datasets: int,
) -> str:
    """How the figures of a board were obtained, in full sentences.

    Args:
        protocol: The protocol's name.
        suite: The suite's name; empty when unknown.
        backbone: The backbone's name; empty when unknown.
        seeds: The expected seeds.
        shots: The numbers of training images per class that occur.
        miniature: Whether the results are of the miniature; the caption then says so.
        datasets: How many datasets the board has.

    Returns:
        The caption, in one line.
    """
    info = protocol_info(protocol)
    over = f"seeds {', '.join(map(str, seeds))} (n = {len(seeds)})" if seeds else "no seeds yet"
    count = f"{datasets} dataset{'' if datasets == 1 else 's'}"
    tested = "all" if limit_of(suite) is None else "some"
    sentences = [
        f"{title_of(protocol, suite)}, suite {suite or 'unknown'}, backbone {backbone or 'unknown'}.",
        f"Top-1 accuracy in percent over {tested} test images, last-step model, {_shots(shots)}.",
        f"Mean ± sample standard deviation (ddof 1) over {over}; interval in the CSV and JSON: Student t, 95 %.",
        "A method that draws nothing at random has one run and no spread.",
        info.average.format(count=count),
    ]
    return " ".join(sentences + ([MINIATURE] if miniature else []))


def missing_notes(methods: Iterable[MethodScores], places: Sequence[tuple[Place, str]]) -> list[str]:
    """Say which figures are incomplete, and why.

    Args:
        methods: The rows of the leaderboard.
        places: Each measured figure with its title.

    Returns:
        One line per method and reason.
    """
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


def beyond(titles: Sequence[str]) -> list[str]:
    """A line on the datasets that a board leaves out because they have no runs; empty when there are none."""
    return [f"The suite also has {_listed(titles)}, without runs here."] if titles else []


def unlisted(names: Sequence[str]) -> list[str]:
    """A line on the datasets that have runs but are not the suite's; empty when there are none."""
    these = "this dataset" if len(names) == 1 else "these datasets"
    return [f"Runs on {_listed(names)} are left out: the suite does not have {these}."] if names else []


def without_datasets(protocol: str, names: Sequence[str]) -> str:
    """The line on a protocol that is left out because the suite has none of the datasets that its runs are scored on.

    Args:
        protocol: The protocol's name.
        names: The datasets of its runs that the suite does not have.
    """
    these = "dataset" if len(names) == 1 else "datasets"
    return f"{protocol}: left out: the suite does not have the {these} of its runs: {_listed(names)}"


def _listed(names: Sequence[str]) -> str:
    few = names if len(names) <= _NAMED + 1 else [*names[:_NAMED], f"{len(names) - _NAMED} more"]
    return " and ".join([", ".join(few[:-1]), few[-1]]) if len(few) > 1 else few[0]


def _shots(shots: Sequence[int]) -> str:
    if not shots:
        return "no runs yet"
    listed = ", ".join(map(str, shots))
    return f"{listed} training image{'' if listed == '1' else 's'} per class"
