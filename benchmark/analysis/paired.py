"""Two methods on the same images: which ones does a method repair, which does it break, and can that be chance?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from promptarena.benchmark.analysis import names
from promptarena.benchmark.analysis.subjects import Answered
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.core.predictions import Predictions
from promptarena.benchmark.leaderboard.aggregate import Seed
from promptarena.benchmark.leaderboard.model import Board, Cell, Column, Row, Table
from promptarena.benchmark.statistics.significance import holm

_COLUMNS = (
    Column("repaired_count", "Repaired", "count"),
    Column("broken_count", "Broken", "count"),
    Column("holm_p", "p", "p"),
)
_WORDS = {"base": "Base classes", "novel": "Novel classes"}


@dataclass(frozen=True)
class Discordant:
    """The images on which exactly one of two methods is right.

    Args:
        repaired: Those on which it is the method, not the reference.
        broken: Those on which it is the reference.
        seed: The seed that both were trained with; None if neither has one.
    """

    repaired: int
    broken: int
    seed: Seed = None

    @property
    def p(self) -> float:
        """The two-sided exact binomial test that both are equally many (McNemar's exact test); 1 without images."""
        from scipy.stats import binomtest

        discordant = self.repaired + self.broken
        return float(binomtest(self.repaired, discordant, 0.5).pvalue) if discordant else 1.0


def discordant(method: Predictions, reference: Predictions) -> Discordant:
    """Compare two methods image by image.

    Args:
        method: The predictions of one.
        reference: Those of the other, for the same target.

    Returns:
        The counts.

    Raises:
        UserError: They are not predictions for the same images.
    """
    if not np.array_equal(method.images, reference.images) or not np.array_equal(method.labels, reference.labels):
        raise UserError(
            f"predictions for {method.target.dataset}/{method.target.subset} are of different images; "
            "leave out one of the methods with --methods"
        )
    mine, theirs = method.right, reference.right
    return Discordant(int((mine & ~theirs).sum()), int((theirs & ~mine).sum()))


def paired_board(answered: Answered, reference: str = "") -> Board | None:
    """Pair every method with one of them.

    Images of one seed are compared: the smallest seed that both methods have. The same images under several seeds are
    not independent, so they are not pooled.

    Args:
        answered: The predictions.
        reference: The label of the method that the others are paired with; empty: the first one that has predictions.

    Returns:
        A table for each dataset; None if fewer than two methods can be paired.
    """
    there = {str(name): name for by_name in answered.by_place.values() for name in by_name}
    first = reference or next((str(name) for name in answered.names if str(name) in there), "")
    if first not in there:
        return None
    found = {
        (place, name): counts
        for place, by_name in answered.by_place.items()
        for name, counts in _against(by_name, there[first])
    }
    if not found:
        return None
    corrected = dict(zip(found, holm([each.p for each in found.values()]), strict=True))
    tables = []
    for dataset in dict.fromkeys(place[0] for place in answered.by_place):
        subsets = [subset for name, subset in answered.by_place if name == dataset]
        columns = tuple(
            replace(column, key=f"{subset}_{column.key}", group=_WORDS[subset]) if subset in _WORDS else column
            for subset in subsets
            for column in _COLUMNS
        )
        rows = tuple(
            Row(
                name,
                tuple(
                    cell
                    for subset in subsets
                    for cell in _cells(found.get(((dataset, subset), name)), corrected.get(((dataset, subset), name)))
                ),
            )
            for name in answered.names
            if any(((dataset, subset), name) in found for subset in subsets)
        )
        tables.append(Table(dataset, _title(answered, dataset), columns, rows, dataset=dataset))
    board = answered.board
    return replace(
        board,
        title=f"{board.title}: image by image against {first}",
        caption=(
            f"Repaired: images on which the method is right and {first} is wrong; Broken: the other way round. p: "
            "exact "
            "binomial test that both are equally many (McNemar), two-sided, with Holm's correction for all methods and "
            f"datasets of this board ({len(found)} tests). Of methods with seeds, the smallest one that both have."
        ),
        tables=tuple(tables),
        notes=answered.notes,
        part=names.PAIRED,
    )


def _title(answered: Answered, dataset: str) -> str:
    return dict(answered.datasets).get(dataset, dataset)


def _against(
    by_name: Mapping[Label, Mapping[Seed, Predictions]], reference: Label
) -> Iterator[tuple[Label, Discordant]]:
    """Every method that can be paired with the reference, with the counts."""
    theirs = by_name.get(reference, {})
    for name, mine in by_name.items():
        pairs = [(one, other) for one in mine for other in theirs if one == other or None in (one, other)]
        if name == reference or not pairs:
            continue
        one, other = min(pairs, key=lambda pair: tuple(-1 if seed is None else seed for seed in pair))
        counts = discordant(mine[one], theirs[other])
        yield name, replace(counts, seed=other if one is None else one)


def _cells(counts: Discordant | None, p: float | None) -> list[Cell]:
    if counts is None or p is None:
        return [Cell()] * len(_COLUMNS)
    seed = "no seed" if counts.seed is None else f"seed {counts.seed}"
    return [
        Cell(float(counts.repaired), filled=1, reason=seed),
        Cell(float(counts.broken), filled=1, reason=seed),
        Cell(p, filled=1, reason=f"p {counts.p!r} before Holm's correction"),
    ]
