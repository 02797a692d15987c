"""Accuracies of a method per seed, and how they combine into averages and harmonic means."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.core.subsets import harmonic_mean
from promptarena.benchmark.leaderboard.model import Cell
from promptarena.benchmark.leaderboard.spread import spread

Seed = int | None
"""The seed of a run; None for a method that uses no random numbers."""


@dataclass(frozen=True)
class Place:
    """Where an accuracy belongs: which classes of which dataset, learned from how many images.

    Args:
        dataset: The card name of the scored dataset.
        subset: The scored classes: "base", "novel" or "all".
        shots: Training images per class in the few-shot protocol; 0 in the other protocols.
    """

    dataset: str
    subset: str
    shots: int = 0


@dataclass(frozen=True)
class Aggregate:
    """One accuracy of one method, seed by seed. It may be incomplete or missing.

    Args:
        by_seed: Accuracies in percent by seed; empty when the figure is missing.
        expected: The seeds it needs to be complete; never empty.
        centre: The value to report, in percent, where that is not the mean over seeds (averages, harmonic means).
        correct: Correctly classified test images, summed over seeds; None for averages and harmonic means.
        total: Test images, summed over seeds; None for averages and harmonic means.
        datasets: For an average, (complete figures, all figures) that it is taken over; None otherwise.
        reason: Why a missing figure cannot be filled; None when runs are simply missing.
    """

    by_seed: Mapping[Seed, float]
    expected: frozenset[Seed]
    centre: float | None = None
    correct: int | None = None
    total: int | None = None
    datasets: tuple[int, int] | None = None
    reason: str | None = None

    @property
    def full(self) -> bool:
        """Whether every expected seed has a value."""
        return self.expected <= self.by_seed.keys()

    @property
    def value(self) -> float:
        """The reported value in percent. Needs at least one seed."""
        return _mean(list(self.by_seed.values())) if self.centre is None else self.centre

    def cell(self) -> Cell:
        """The figure as a cell of a table, with its spread over seeds (see `spread`)."""
        filled, expected = self.datasets or (len(self.by_seed), len(self.expected))
        if not self.by_seed:
            return Cell(filled=filled, expected=expected, parts=self._parts, reason=self.reason)
        over_seeds = spread(list(self.by_seed.values()), self.value)
        return Cell(
            value=over_seeds.mean,
            std=over_seeds.std,
            low=over_seeds.low,
            high=over_seeds.high,
            n=over_seeds.n,
            filled=filled,
            expected=expected,
            parts=self._parts,
            correct=self.correct,
            total=self.total,
        )

    @property
    def _parts(self) -> Literal["seeds", "datasets"]:
        return "seeds" if self.datasets is None else "datasets"


@dataclass(frozen=True)
class MethodScores:
    """A row of the leaderboard before it is laid out in tables.

    Args:
        name: What tables name the method.
        expected: The seeds that each of its figures needs to be complete: {None} for a method without seeds.
        scores: (correct, total) test images by place and seed.
        reasons: For places that the method cannot be scored on, the reason.
    """

    name: Label
    expected: frozenset[Seed]
    scores: Mapping[Place, Mapping[Seed, tuple[int, int]]] = field(default_factory=dict)
    reasons: Mapping[Place, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The printed name."""
        return str(self.name)

    def figure(self, place: Place) -> Aggregate:
        """The accuracy at a place; missing if no expected seed was scored there."""
        pairs = {seed: pair for seed, pair in self.scores.get(place, {}).items() if seed in self.expected}
        if not pairs:
            return Aggregate({}, self.expected, reason=self.reasons.get(place))
        return Aggregate(
            # Multiply before dividing: other orders differ in the last bit of the exported percentages.
            by_seed={seed: 100 * correct / total for seed, (correct, total) in pairs.items()},
            expected=self.expected,
            correct=sum(correct for correct, _ in pairs.values()),
            total=sum(total for _, total in pairs.values()),
        )


def average(figures: Sequence[Aggregate]) -> Aggregate:
    """The unweighted mean of figures, seed by seed.

    Args:
        figures: At least one figure, all of one method.

    Returns:
        Their mean in percent. It is missing unless all figures are complete: a mean over fewer datasets is not
        comparable. Its spread is that of the seeds' own averages.
    """
    full = [figure for figure in figures if figure.full]
    expected = figures[0].expected
    count = (len(full), len(figures))
    if len(full) < len(figures):
        reasons = {figure.reason for figure in figures if not figure.full}
        return Aggregate({}, expected, datasets=count, reason=reasons.pop() if len(reasons) == 1 else None)
    by_seed = {seed: _mean([figure.by_seed[seed] for figure in figures]) for seed in expected}
    return Aggregate(by_seed, expected, centre=_mean([figure.value for figure in figures]), datasets=count)


def harmonic(base: Aggregate, novel: Aggregate) -> Aggregate:
    """The harmonic mean 2bn / (b + n) of base and novel accuracy.

    Args:
        base: Accuracy on the base classes.
        novel: Accuracy on the novel classes, of the same method.

    Returns:
        In percent, over the seeds that both have; missing if there are none. The value is the harmonic mean of the two
        reported values, as papers print it; the spread is that of the seeds' own harmonic means.
    """
    seeds = [seed for seed in base.by_seed if seed in novel.by_seed]
    if not seeds:
        return Aggregate({}, base.expected, datasets=base.datasets, reason=base.reason or novel.reason)
    return Aggregate(
        by_seed={seed: harmonic_mean(base.by_seed[seed], novel.by_seed[seed]) for seed in seeds},
        expected=base.expected,
        centre=harmonic_mean(base.value, novel.value),
        datasets=base.datasets,
    )


def _mean(values: Sequence[float]) -> float:
    # fsum rounds once, so the mean does not depend on the order of seeds or datasets.
    return math.fsum(values) / len(values)
