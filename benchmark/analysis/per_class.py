"""Classes one by one: what a mean over images hides."""

import numpy as np

from promptarena.benchmark.analysis import names
from promptarena.benchmark.analysis.subjects import Floats, Subject
from promptarena.benchmark.core.predictions import Predictions
from promptarena.benchmark.leaderboard.model import Column


def class_accuracies(found: Predictions) -> Floats:
    """The accuracies (0 to 1) of the classes that have images, in label order."""
    right, total = (np.array(counts, dtype=float) for counts in found.counts())
    return np.asarray(right[total > 0] / total[total > 0])


def worst_tenth(accuracies: Floats) -> float:
    """The mean over the tenth of the classes with the lowest accuracies, at least one class."""
    return float(np.sort(accuracies)[: max(1, len(accuracies) // 10)].mean())


def _measure(found: Predictions) -> tuple[float | None, ...]:
    accuracies = class_accuracies(found)
    return 100 * float(found.right.mean()), 100 * float(accuracies.mean()), 100 * worst_tenth(accuracies)


PER_CLASS = Subject(
    name=names.PER_CLASS,
    title="classes one by one",
    caption=(
        "Images: accuracy over images. Classes: unweighted mean of the accuracies of the classes. Worst tenth: "
        "mean over the "
        "tenth of the classes with the lowest accuracies (at least one), chosen for each run."
    ),
    columns=(
        Column("accuracy_pct", "Images"),
        Column("class_mean_pct", "Classes"),
        Column("worst_tenth_pct", "Worst tenth"),
    ),
    measure=_measure,
)
