"""Two methods compared on the scores that both have: dataset by dataset, and on average."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from promptarena.benchmark.leaderboard.aggregate import Seed
from promptarena.benchmark.leaderboard.spread import Spread, spread
from promptarena.benchmark.statistics.bootstrap import Array, draw_weights, interval, spans
from promptarena.benchmark.statistics.scores import NoScoresError, Scores
from promptarena.benchmark.statistics.shared import shared_interval
from promptarena.benchmark.statistics.significance import ALPHA, DECIMALS, holm, paired_t, wilcoxon

Outcome = Literal["win", "tie", "loss"]
"""Of the first method against the second on one dataset."""
Cells = Mapping[Seed, tuple[float, ...]]
"""The accuracies in percent of one method on one dataset, by seed."""


@dataclass(frozen=True)
class Difference:
    """The first method minus the second on one dataset, in points, over the seeds that both have.

    Args:
        dataset: The card name.
        title: The dataset's title.
        spread: The difference with its spread over seeds.
        outcome: A tie if the difference is no larger than the standard deviation of the seeds' differences. With one
            seed only equal scores are a tie.
    """

    dataset: str
    title: str
    spread: Spread
    outcome: Outcome


@dataclass(frozen=True)
class PairedComparison:
    """The first method minus the second, in points.

    Args:
        first: The label of the first method.
        second: The label of the second method.
        words: What is scored, such as `HM`.
        datasets: The differences on the datasets that both have.
        average: The difference of the two averages, as a leaderboard prints them, over the shared datasets and seeds.
        low: Lower end of the average's 95 % interval over datasets and seeds (one dataset: over its seeds); None where
            it cannot be estimated.
        high: Its upper end.
        on_these: The average with its spread over the seeds that all these datasets share; None if there are none.
        test: The test of `p`: Wilcoxon's over datasets; with one dataset Student's t-test over seeds.
        p: The test's two-sided p-value; None without a test.
        p_interval: The interval's p-value. If all datasets share their trainings, `against` corrects it by Holm's
            method.
        missing: The titles of the datasets that not both have.
        unpaired: The number of scores on shared datasets that only one of them has.
        one_training: Whether all datasets share the training of a single seed, so that nothing can be said of other
            seeds.
        p_holm: `p` after Holm's correction for the `family`; None for a comparison by itself.
        family: The number of comparisons that are corrected together.
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
    def significant(self) -> bool:
        """Whether the methods differ significantly at level `ALPHA`, by the test and by the interval."""
        p = self.p if self.p_holm is None else self.p_holm
        return p is not None and self.p_interval is not None and max(p, self.p_interval) <= ALPHA

    def count(self, outcome: Outcome) -> int:
        """On how many datasets the first method wins, ties or loses."""
        return sum(each.outcome == outcome for each in self.datasets)


def compare(scores: Scores, first: str, second: str) -> PairedComparison:
    """Compare two methods on the datasets and seeds that both have.

    The single score of a method without seeds is paired with each seed of the other.

    Args:
        scores: The scores of the protocol.
        first: A method's label.
        second: A method's label.

    Returns:
        The first minus the second, in points, without a correction for several comparisons.

    Raises:
        NoScoresError: A method has no scores, or the two share no dataset and seed.
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
    # The leaderboard's average: average the datasets first, then take the harmonic mean and the difference.
    average = float(_difference(means.mean(axis=0)))
    count = len(shared)
    deterministic = all(seed is None for by_seed in shared.values() for seed in by_seed)
    lone = scores.crossed and set(sizes) == {1} and not deterministic
    made = PairedComparison(
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
    if scores.crossed:
        over = shared_interval(average, by_cell.reshape(count, -1))
    else:
        # The accuracies are resampled, not the differences: the harmonic mean is not linear, so it must be taken of
        # the resampled averages. One matrix product does it for all resamples.
        weights = draw_weights(tuple(sizes))
        resampled = (weights @ cells.reshape(len(cells), -1)).reshape(len(weights), *cells.shape[1:])
        over = interval(average, _difference(resampled), count)
    p = float(wilcoxon(_difference(means)[None])[0])
    return replace(made, low=over.low, high=over.high, test="Wilcoxon", p=p, p_interval=over.p)


def against(scores: Scores, reference: str) -> list[PairedComparison]:
    """Compare every other method with a reference, corrected for their number by Holm's method.

    If all datasets share their trainings, the p-values of the intervals are corrected too: a training that happens to
    be good raises all targets at once, and no test over targets can see that.

    Args:
        scores: The scores of the protocol. Further readings of a method are left out, and so are methods that share no
            dataset and seed with the reference.
        reference: A method's label.

    Returns:
        Each other method minus the reference, in points; those without a test last.

    Raises:
        NoScoresError: The reference has no scores.
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
    """The reported scores of accuracies.

    Args:
        sides: (..., sides) accuracies in percent: base and novel, or a single one.

    Returns:
        (...) their harmonic mean, by `scipy.stats.hmean`; a single accuracy is its own.
    """
    from scipy import stats

    return np.asarray(stats.hmean(sides, axis=-1), dtype=np.float64)


Pairs = dict[str, dict[Seed, tuple[tuple[float, ...], tuple[float, ...]]]]
"""The accuracies in percent of two methods, by dataset and seed."""


def _shared(scores: Scores, first: str, second: str) -> tuple[Pairs, int]:
    """The scores of both methods where both have them, and how many scores are left out on their shared datasets."""
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
    """The seeds that either has; [None] if neither has seeds."""
    return [*sorted({seed for seed in (*one, *other) if seed is not None})] or [None]


def _common(one: Cells, other: Cells) -> list[Seed]:
    return [seed for seed in _drawn(one, other) if all(seed in each or None in each for each in (one, other))]


def _at(cells: Cells, seed: Seed) -> tuple[float, ...]:
    return cells[seed] if seed in cells else cells[None]


def _difference(sides: Array) -> Array:
    """First minus second in points, rounded so that equal scores tie, from (..., 2, sides) accuracies in percent."""
    both = reported(sides)
    return np.asarray(np.round(both[..., 0] - both[..., 1], DECIMALS))


def _dataset(name: str, title: str, by_seed: list[float], centre: float) -> Difference:
    over_seeds = spread(by_seed, centre)
    if abs(centre) <= (over_seeds.std or 0.0):
        return Difference(name, title, over_seeds, "tie")
    return Difference(name, title, over_seeds, "win" if centre > 0 else "loss")


def _on_these(shared: Pairs, average: float) -> Spread | None:
    """The average with its spread over the seeds that all shared datasets have; None if there are none."""
    everywhere = set.intersection(*(set(by_seed) for by_seed in shared.values()))
    if not everywhere:
        return None
    seeds = sorted(everywhere, key=lambda seed: -1 if seed is None else seed)
    means = np.array([np.mean([by_seed[seed] for by_seed in shared.values()], axis=0) for seed in seeds])
    return spread(_difference(means).tolist(), average)
