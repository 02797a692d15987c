"""What the user must know of few-shot splits: classes with fewer images than shots, and splits that are the same."""

from collections.abc import Iterable, Sequence

from promptarena.benchmark.core.runs import PlannedRun
from promptarena.benchmark.data.data_manager import Data
from promptarena.benchmark.planning.suites import Suite

FEWEST = "fewest_images_per_class"
"""In a run's provenance, where a class has fewer training images than there are shots: the number of the smallest."""


def without_repeated_splits(
    runs: Iterable[PlannedRun], suite: Suite, data: Data
) -> tuple[tuple[PlannedRun, ...], tuple[str, ...]]:
    """Leave out runs whose training images are those of a run with fewer shots: their figures would say nothing new.

    Args:
        runs: The planned runs.
        suite: Their suite.
        data: Its datasets.

    Returns:
        The runs that are kept, in order, and a note for each dataset and number of shots that is left out.
    """
    ordered = list(runs)
    first: dict[tuple[object, ...], int] = {}
    notes: dict[str, None] = {}
    left_out = set[str]()
    for run in sorted(ordered, key=lambda run: run.spec.shots):
        spec = run.spec
        drawn, _ = data.few_shot(suite.card(spec.dataset), spec.subset, spec.shots, spec.seed or 0)
        # As a set: a class that gives all its images gives them in another order than one that is sampled.
        images = frozenset(drawn.images.key(row) for row in range(len(drawn.images)))
        place = (spec.protocol, spec.label, spec.dataset, spec.subset, spec.seed, images)
        shots = first.setdefault(place, spec.shots)
        if shots != spec.shots:
            left_out.add(run.key)
            notes[
                f"{spec.dataset}: {spec.shots} shots are left out ({spec.protocol}); they are the same training images "
                f"as {shots}."
            ] = None
    return tuple(run for run in ordered if run.key not in left_out), tuple(notes)


def fewest_notes(runs: Sequence[PlannedRun]) -> list[str]:
    """A note for each dataset and number of shots where a class has fewer training images.

    Args:
        runs: The planned runs.

    Returns:
        The notes.
    """
    found: dict[tuple[str, int], int] = {}
    for run in runs:
        if FEWEST in run.provenance:
            place = (run.spec.dataset, run.spec.shots)
            found[place] = min(run.provenance[FEWEST], found.get(place, run.spec.shots))
    return [
        f"{dataset}: {shots} shots are requested, but its smallest class has only {fewest} training "
        f"image{'s' * (fewest > 1)}; such a class gives all it has."
        for (dataset, shots), fewest in found.items()
    ]
