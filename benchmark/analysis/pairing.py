"""What boards that pair methods share: which predictions are compared, and a table for each dataset."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from promptarena.benchmark.analysis.subjects import Answered
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.core.predictions import Predictions
from promptarena.benchmark.leaderboard.aggregate import Seed
from promptarena.benchmark.leaderboard.model import Cell, Column, Row, Table

Place = tuple[str, str]
"""A dataset and a subset of its classes."""

_GROUPS = {"base": "Base classes", "novel": "Novel classes"}


class Pair(NamedTuple):
    """The predictions of a method and of the reference for the same images.

    Args:
        method: Those of the method.
        reference: Those of the reference.
        seed: The seed that both were trained with; None if neither has one.
    """

    method: Predictions
    reference: Predictions
    seed: Seed


def pairs_with(answered: Answered, reference: str) -> tuple[str, dict[tuple[Place, Label], Pair]]:
    """Pair every method with one of them: by the smallest seed that both have.

    The same images under several seeds are not independent, so seeds are not pooled.

    Args:
        answered: The predictions.
        reference: The label of the method that the others are paired with; empty: the first one that has predictions.

    Returns:
        The reference's label, and the pairs by place and method; none where it has no predictions.

    Raises:
        UserError: Two methods have predictions for different images.
    """
    there = {str(name): name for by_name in answered.by_place.values() for name in by_name}
    first = reference or next((str(name) for name in answered.names if str(name) in there), "")
    if first not in there:
        return first, {}
    return first, {
        (place, name): pair
        for place, by_name in answered.by_place.items()
        for name, pair in _against(by_name, there[first])
    }


def same_images(one: Predictions, other: Predictions) -> None:
    """Raise UserError unless both are predictions for the same images."""
    if not np.array_equal(one.images, other.images) or not np.array_equal(one.labels, other.labels):
        raise UserError(
            f"predictions for {one.target.dataset}/{one.target.subset} are of different images; "
            "leave out one of the methods with --methods"
        )


def tables_of(
    answered: Answered, columns: Sequence[Column], cells: Callable[[Place, Label], Sequence[Cell] | None]
) -> tuple[Table, ...]:
    """Make a table for each dataset, with these columns for each of its subsets.

    Args:
        answered: The predictions.
        columns: The columns of a subset.
        cells: The cells of a method in them; None if it has none.

    Returns:
        The tables; methods without cells are left out.
    """
    tables = []
    for dataset in dict.fromkeys(name for name, _ in answered.by_place):
        subsets = [subset for name, subset in answered.by_place if name == dataset]
        of_methods = {name: [cells((dataset, subset), name) for subset in subsets] for name in answered.names}
        rows = tuple(
            Row(name, tuple(cell for each in found for cell in each or [Cell()] * len(columns)))
            for name, found in of_methods.items()
            if any(found)
        )
        grouped = tuple(_grouped(column, subset) for subset in subsets for column in columns)
        title = dict(answered.datasets).get(dataset, dataset)
        tables.append(Table(dataset, title, grouped, rows, dataset=dataset))
    return tuple(tables)


def _grouped(column: Column, subset: str) -> Column:
    if subset not in _GROUPS:
        return column
    return replace(column, key=f"{subset}_{column.key}", group=_GROUPS[subset])


def _against(by_name: Mapping[Label, Mapping[Seed, Predictions]], reference: Label) -> Iterator[tuple[Label, Pair]]:
    """Every method that can be paired with the reference."""
    theirs = by_name.get(reference, {})
    for name, mine in by_name.items():
        both = [(one, other) for one in mine for other in theirs if one == other or None in (one, other)]
        if name == reference or not both:
            continue
        one, other = min(both, key=lambda pair: tuple(-1 if seed is None else seed for seed in pair))
        same_images(mine[one], theirs[other])
        yield name, Pair(mine[one], theirs[other], other if one is None else one)
