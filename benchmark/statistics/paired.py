"""Two methods compared where both were scored: dataset by dataset, and on average."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from promptarena.benchmark.leaderboard.aggregate import Seed
from promptarena.benchmark.leaderboard.spread import Spread, spread
from promptarena.benchmark.statistics.bootstrap import Array, draw_weights, interval, spans
from promptarena.benchmark.statistics.scores import NoScoresError, Scores
from promptarena.benchmark.statistics.significance import ALPHA, DECIMALS, holm, paired_t, wilcoxon

Outcome = Literal["win", "tie", "loss"]
Cells = Mapping[Seed, tuple[float, ...]]


@dataclass(frozen=True)
class Difference:
    """The first method minus the second on one dataset, in points, over the seeds that both have.

    `outcome` is a tie when the difference is no larger than the standard deviation of the seeds' own differences; with
    one seed only equal scores tie.
    """

    dataset: str
    title: str
    spread: Spread
    outcome: Outcome


@dataclass(frozen=True)
class Comparison:
    """The first method minus the second, in points.

    `average` is the difference of what a leaderboard prints as their averages, over the shared `datasets` and seeds.
    `low` to `high` is its 95 % interval over datasets and seeds; with one dataset over its seeds. It is None where
    there is none. `on_these` is the average over the same datasets, seed by seed. `p` is that of `test`: Wilcoxon's
    over datasets, with one dataset Student's t over seeds; `p_interval` is the interval's. Both are corrected by Holm's
    method for the `family` of comparisons made together, as `p_holm` and, where all datasets share their trainings, as
    `p_interval` itself. `missing` names the datasets that not both have, and `unpaired` counts the scores on shared
    datasets that only one has. `one_training`: one seed, the same training on all datasets, so nothing to judge its
    luck by.
    """

    first: str
    second: str
    words: str
    datasets: tuple[Difference, ...]
    average: float
    low: float | None
    high: float | None
    on_these: Spread | None
    test: Literal["Wilcoxon", "t-test"] | None
    p: float | None
    p_interval: float | None
    missing: tuple[str, ...]
    unpaired: int
    one_training: bool
    p_holm: float | None = None
    family: int = 1

    @property
    def seeds(self) -> tuple[int, int]:
        """The smallest and the largest number of seeds of a dataset."""
        counts = [each.spread.n for each in self.datasets]
        return min(counts), max(counts)

    @property
    def told_apart(self) -> bool:
        """Whether the methods differ by more than chance explains, by the test and by the interval."""
        p = self.p if self.p_holm is None else self.p_holm
        return p is not None and self.p_interval is not None and max(p, self.p_interval) <= ALPHA

    def count(self, outcome: Outcome) -> int:
        """On how many datasets the first method wins, ties or loses."""
        return sum(each.outcome == outcome for each in self.datasets)


def compare(scores: Scores, first: str, second: str) -> Comparison:
    """Compare two methods on the datasets and seeds that both have.

    A method without seeds has its one score beside each seed of the other. Raises NoScoresError for a method
    without scores, and when the two share no dataset and seed.
    """
    first, second = scores.find(first), scores.find(second)
    shared, unpaired = _shared(scores, first, second)
    titles = dict(scores.datasets)
    if not shared:
        raise NoScoresError(
            f"{first} and {second} share no dataset and seed with {scores.words} in {scores.protocol}; run both on one"
        )
    cells = np.array([pair for by_seed in shared.values() for pair in by_seed.values()])
    sizes = [len(by_seed) for by_seed in shared.values()]
    places = spans(sizes)
    by_cell = _difference(cells)
    means = np.array([cells[span].mean(axis=0) for span in places])
    differences = tuple(
        _dataset(name, titles[name], by_cell[span].tolist(), centre)
        for name, span, centre in zip(shared, places, _difference(means).tolist(), strict=True)
    )
    average = float(_difference(means.mean(axis=0)))
    count = len(shared)
    deterministic = all(seed is None for by_seed in shared.values() for seed in by_seed)
    lone = scores.crossed and set(sizes) == {1} and not deterministic
    made = Comparison(
        first=first,
        second=second,
        words=scores.words,
        datasets=differences,
        average=average,
        low=None,
        high=None,
        on_these=_on_these(shared, average),
        test=None,
        p=None,
        p_interval=None,
        missing=tuple(title for name, title in scores.datasets if name not in shared),
        unpaired=unpaired,
        one_training=lone,
    )
    if count == 1:
        only = differences[0].spread
        p = paired_t(by_cell.tolist()) if only.n > 1 else None
        return replace(made, low=only.low, high=only.high, test=p if p is None else "t-test", p=p, p_interval=p)
    if lone:
        return made
    weights = draw_weights(tuple(sizes), scores.crossed)
    resampled = (weights @ cells.reshape(len(cells), -1)).reshape(len(weights), *cells.shape[1:])
    over = interval(average, _difference(resampled), count)
    p = float(wilcoxon(_difference(means)[None])[0])
    return replace(made, low=over.low, high=over.high, test="Wilcoxon", p=p, p_interval=over.p)


def against(scores: Scores, reference: str) -> list[Comparison]:
    """Every other method minus the reference, with Holm's correction over all of these.

    Where all datasets share their trainings, the intervals' p are corrected too: what a training's luck does on all
    targets at once, no test over targets can see.

    Further readings of a method are left out, and methods that share nothing with the reference. Raises
    NoScoresError when the reference has no scores.
    """
    reference = scores.find(reference)
    others = [label for label in scores.cells if label != reference and label not in scores.readings]
    found = [compare(scores, label, reference) for label in others if _shared(scores, label, reference)[0]]
    tested = [each for each in found if each.p is not None]
    p_holm = holm([each.p for each in tested if each.p is not None])
    p_interval = [each.p_interval for each in tested]
    if scores.crossed:
        p_interval = [*holm([p for p in p_interval if p is not None])]
    corrected = [
        replace(each, p_holm=p, p_interval=over, family=len(tested))
        for each, p, over in zip(tested, p_holm, p_interval, strict=True)
    ]
    return [*corrected, *(each for each in found if each.p is None)]


def reported(sides: Array) -> Array:
    """Scores from the accuracies on the last axis: their harmonic mean, for one of them itself."""
    from scipy import stats

    return np.asarray(stats.hmean(sides, axis=-1), dtype=np.float64)


Pairs = dict[str, dict[Seed, tuple[tuple[float, ...], tuple[float, ...]]]]


def _shared(scores: Scores, first: str, second: str) -> tuple[Pairs, int]:
    """The scores of both by dataset and seed, where both have them, and how many are left out on their datasets."""
    one, other = scores.cells[first], scores.cells[second]
    pairs: Pairs = {}
    unpaired = 0
    for name, _ in scores.datasets:
        if name in one and name in other:
            seeds = _common(one[name], other[name])
            unpaired += len(_drawn(one[name], other[name])) - len(seeds)
            if seeds:
                pairs[name] = {seed: (_at(one[name], seed), _at(other[name], seed)) for seed in seeds}
    if scores.crossed and pairs:
        everywhere = set.intersection(*(set(by_seed) for by_seed in pairs.values()))
        unpaired += sum(len(by_seed) - len(everywhere) for by_seed in pairs.values())
        pairs = {
            name: {seed: by_seed[seed] for seed in by_seed if seed in everywhere} for name, by_seed in pairs.items()
        }
        pairs = {name: by_seed for name, by_seed in pairs.items() if by_seed}
    return pairs, unpaired


def _drawn(one: Cells, other: Cells) -> list[Seed]:
    """The seeds that either has; without any, the one score."""
    return [*sorted({seed for seed in (*one, *other) if seed is not None})] or [None]


def _common(one: Cells, other: Cells) -> list[Seed]:
    return [seed for seed in _drawn(one, other) if all(seed in each or None in each for each in (one, other))]


def _at(cells: Cells, seed: Seed) -> tuple[float, ...]:
    return cells[seed] if seed in cells else cells[None]


def _difference(sides: Array) -> Array:
    """First minus second, in points, from (..., methods, sides)."""
    both = reported(sides)
    return np.asarray(np.round(both[..., 0] - both[..., 1], DECIMALS))


def _dataset(name: str, title: str, by_seed: list[float], centre: float) -> Difference:
    over_seeds = spread(by_seed, centre)
    if abs(centre) <= (over_seeds.std or 0.0):
        return Difference(name, title, over_seeds, "tie")
    return Difference(name, title, over_seeds, "win" if centre > 0 else "loss")


def _on_these(shared: Pairs, average: float) -> Spread | None:
    everywhere = set.intersection(*(set(by_seed) for by_seed in shared.values()))
    if not everywhere:
        return None
    seeds = sorted(everywhere, key=lambda seed: -1 if seed is None else seed)
    means = np.array([np.mean([by_seed[seed] for by_seed in shared.values()], axis=0) for seed in seeds])
    return spread(_difference(means).tolist(), average)
