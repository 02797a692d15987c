"""Pairs of classes: which confusions does a method repair, and which does it bring, against another method?"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from promptarena.benchmark.analysis import names
from promptarena.benchmark.analysis.pairing import pairs_with, same_images, tables_of
from promptarena.benchmark.analysis.subjects import GROUPS, Answered, Floats
from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.core.predictions import Predictions
from promptarena.benchmark.leaderboard.model import Board, Cell, Column

LISTED = 5
"""The number of pairs that data formats name."""

_COLUMNS = (
    Column("repaired_pair_count", "Most repaired", "count"),
    Column("broken_pair_count", "Most broken", "count"),
)


@dataclass(frozen=True)
class Confusion:
    """Images of one class that were predicted as another.

    Args:
        label: The class.
        predicted: The class that was predicted.
        count: Their number.
    """

    label: str
    predicted: str
    count: int

    def __str__(self) -> str:
        return f"{self.label} as {self.predicted}"


def repaired_and_broken(method: Predictions, reference: Predictions) -> tuple[list[Confusion], list[Confusion]]:
    """The confusions on which exactly one of two methods is right.

    Args:
        method: The predictions of one.
        reference: Those of the other, for the same target.

    Returns:
        Those of the reference that the method repairs, and those of the method on images that the reference has right;
        each the most frequent first, of equally frequent ones in the order of the classes.

    Raises:
        UserError: They are not predictions for the same images.
    """
    same_images(method, reference)
    mine, theirs = method.right, reference.right
    return _confusions(reference, mine & ~theirs), _confusions(method, theirs & ~mine)


def _confusions(found: Predictions, rows: npt.NDArray[np.bool_]) -> list[Confusion]:
    counts = Counter(zip(found.labels[rows].tolist(), found.top[rows, 0].tolist(), strict=True))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [Confusion(found.classes[label], found.classes[other], count) for (label, other), count in ordered]


def confusions_board(answered: Answered, reference: str = "") -> Board | None:
    """Name for every method the confusion that it repairs most often, and the one that it brings most often.

    Args:
        answered: The predictions.
        reference: The label of the method that the others are paired with; empty: the first one that has predictions.

    Returns:
        A table for each dataset; None if fewer than two methods can be paired.
    """
    first, paired = pairs_with(answered, reference)
    if not paired:
        return None

    def cells(place: tuple[str, str], name: Label) -> list[Cell] | None:
        if (place, name) not in paired:
            return None
        pair = paired[place, name]
        return [_cell(found) for found in repaired_and_broken(pair.method, pair.reference)]

    board = answered.board
    return replace(
        board,
        title=f"{board.title}: pairs of classes against {first}",
        caption=(
            f"Most repaired: the images of one class that {first} predicts as one other class and the method gets "
            f"right, for the pair with most of them; Most broken: those that the method confuses and {first} gets "
            f"right. CSV and JSON name the first {LISTED} pairs. Of methods with seeds, the smallest that both have."
        ),
        tables=tables_of(answered, _COLUMNS, cells),
        notes=answered.notes,
        part=names.CONFUSIONS,
    )


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix.

    Args:
        classes: The C names of the classes.
        shares: (C, C) the percentage of the images of a row's class that are predicted as a column's class, mean over
            seeds; a class without images has zeros.
    """

    classes: tuple[str, ...]
    shares: Floats


def confusion_matrices(answered: Answered, dataset: str, method: str) -> dict[str, Matrix]:
    """The confusion matrices of a method on a dataset.

    Args:
        answered: The predictions.
        dataset: The card name of the dataset.
        method: The label of the method.

    Returns:
        A matrix for each scored subset of the classes, by the heading of its panel; none without predictions.
    """
    found = {}
    for subset, heading in GROUPS.items():
        by_name = answered.by_place.get((dataset, subset), {})
        seeds = [each for name, by_seed in by_name.items() if str(name) == method for each in by_seed.values()]
        if seeds:
            found[heading] = Matrix(seeds[0].classes, np.mean([confusion_shares(each) for each in seeds], axis=0))
    return found


def confusion_shares(found: Predictions) -> Floats:
    """(C, C) the percentage of the images of a row's class that are predicted as a column's class."""
    classes = len(found.classes)
    counts = np.bincount(found.labels * classes + found.top[:, 0], minlength=classes**2).reshape(classes, classes)
    return np.asarray(100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))


def _cell(found: Sequence[Confusion]) -> Cell:
    if not found:
        return Cell(0.0, filled=1, reason="no image")
    listed = "; ".join(f"{each.count} {each}" for each in found[:LISTED])
    return Cell(float(found[0].count), filled=1, note=str(found[0]), reason=listed)
