"""The figures of a leaderboard: accuracies per seed, and how they combine into averages and harmonic means."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from promptarena.benchmark.core.subsets import harmonic_mean
from promptarena.benchmark.leaderboard.model import Cell
from promptarena.benchmark.leaderboard.spread import spread

Seed = int | None


@dataclass(frozen=True)
class Place:
    """What a figure is of: the classes `subset` of `dataset`, in few-shot learned from `shots` images per class."""

    dataset: str
    subset: str
    shots: int = 0


@dataclass(frozen=True)
class Figure:
    """Accuracies in percent by seed, of the `wanted` seeds (never empty).

    `centre` is what is reported where that is not the mean over seeds. An average counts in `datasets` how many of how
    many figures it has. `reason` says why a figure without values cannot have any.
    """

    by_seed: Mapping[Seed, float]
    wanted: frozenset[Seed]
    centre: float | None = None
    correct: int | None = None
    total: int | None = None
    datasets: tuple[int, int] | None = None
    reason: str | None = None

    @property
    def full(self) -> bool:
        """Whether every wanted seed has a value."""
        return self.wanted <= self.by_seed.keys()

    @property
    def value(self) -> float:
        """What is reported, in percent; needs at least one seed."""
        return _mean(list(self.by_seed.values())) if self.centre is None else self.centre

    def cell(self) -> Cell:
        """The figure as a table's cell."""
        filled, wanted = self.datasets or (len(self.by_seed), len(self.wanted))
        if not self.by_seed:
            return Cell(filled=filled, wanted=wanted, parts=self._parts, reason=self.reason)
        over_seeds = spread(list(self.by_seed.values()), self.value)
        return Cell(
            value=over_seeds.mean,
            std=over_seeds.std,
            low=over_seeds.low,
            high=over_seeds.high,
            n=over_seeds.n,
            filled=filled,
            wanted=wanted,
            parts=self._parts,
            correct=self.correct,
            total=self.total,
        )

    @property
    def _parts(self) -> Literal["seeds", "datasets"]:
        return "seeds" if self.datasets is None else "datasets"


@dataclass(frozen=True)
class Method:
    """What a method has: (correct, total) images by place and seed, and reasons for what it cannot have."""

    label: str
    wanted: frozenset[Seed]
    scores: Mapping[Place, Mapping[Seed, tuple[int, int]]] = field(default_factory=dict)
    reasons: Mapping[Place, str] = field(default_factory=dict)

    def figure(self, place: Place) -> Figure:
        """The accuracy at a place, which may be a hole."""
        pairs = {seed: pair for seed, pair in self.scores.get(place, {}).items() if seed in self.wanted}
        if not pairs:
            return Figure({}, self.wanted, reason=self.reasons.get(place))
        return Figure(
            by_seed={seed: 100 * correct / total for seed, (correct, total) in pairs.items()},
            wanted=self.wanted,
            correct=sum(correct for correct, _ in pairs.values()),
            total=sum(total for _, total in pairs.values()),
        )


def average(figures: Sequence[Figure]) -> Figure:
    """The unweighted mean of figures of one method (at least one), seed by seed; a hole unless all of them are full."""
    full = [figure for figure in figures if figure.full]
    wanted = figures[0].wanted
    count = (len(full), len(figures))
    if len(full) < len(figures):
        reasons = {figure.reason for figure in figures if not figure.full}
        return Figure({}, wanted, datasets=count, reason=reasons.pop() if len(reasons) == 1 else None)
    by_seed = {seed: _mean([figure.by_seed[seed] for figure in figures]) for seed in wanted}
    return Figure(by_seed, wanted, centre=_mean([figure.value for figure in figures]), datasets=count)


def harmonic(base: Figure, novel: Figure) -> Figure:
    """The harmonic mean of what two figures report; its spread is that of the seeds' own harmonic means."""
    seeds = [seed for seed in base.by_seed if seed in novel.by_seed]
    if not seeds:
        return Figure({}, base.wanted, datasets=base.datasets, reason=base.reason or novel.reason)
    return Figure(
        by_seed={seed: harmonic_mean(base.by_seed[seed], novel.by_seed[seed]) for seed in seeds},
        wanted=base.wanted,
        centre=harmonic_mean(base.value, novel.value),
        datasets=base.datasets,
    )


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
