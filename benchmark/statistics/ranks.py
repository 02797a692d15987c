"""Many methods at once: mean ranks over datasets, Friedman's test, and which pairs differ significantly.

Pairs are tested by Wilcoxon's signed-rank test with Holm's correction, which depends on no other method's scores
(Benavoli, Corani and Mangili, JMLR 17, 2016). With too many pairs no p-value could reach the level, whatever the
scores; Nemenyi's critical difference of mean ranks is used then (Demšar, JMLR 7, 2006). The choice depends on the
numbers of methods and datasets only, never on results. The interval over datasets and seeds must agree in every case.
If all datasets share their trainings it is corrected too, because no test over datasets sees the luck of a training
that affects them all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from promptarena.benchmark.statistics.block import Block, complete_block
from promptarena.benchmark.statistics.bootstrap import Array, Interval, draw_weights, spans, student
from promptarena.benchmark.statistics.paired import reported
from promptarena.benchmark.statistics.scores import Scores
from promptarena.benchmark.statistics.shared import shared_interval
from promptarena.benchmark.statistics.significance import (
    ALPHA,
    DECIMALS,
    critical_difference,
    friedman,
    holm,
    smallest_wilcoxon,
    wilcoxon,
)

Test = Literal["Wilcoxon with Holm's correction", "Nemenyi"]


@dataclass(frozen=True)
class Ranked:
    """A method of a ranking.

    Args:
        label: The method's label.
        rank: The mean rank over the ranking's datasets: 1 is best, equal scores share the mean of their ranks.
        average: The average score over these datasets, in percent.
    """

    label: str
    rank: float
    average: float


@dataclass(frozen=True)
class Pair:
    """Two methods of a ranking, the better-ranked first.

    Args:
        first: The label of the better-ranked method.
        second: The label of the other method.
        difference: The first average minus the second, in points.
        low: Lower end of its 95 % interval over datasets and seeds.
        high: Upper end of this interval.
        p: Wilcoxon's two-sided p-value over datasets.
        p_holm: `p` after Holm's correction for all pairs.
        significant: Whether the two differ significantly.
    """

    first: str
    second: str
    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    significant: bool


@dataclass(frozen=True)
class Ranking:
    """Methods from the best mean rank to the worst.

    Args:
        words: What is scored, such as `HM`.
        methods: The ranked methods, the best first.
        datasets: The datasets' titles.
        seeds: The smallest and the largest number of seeds of a dataset.
        friedman: The p-value of Friedman's test; None with fewer than three methods.
        test: What decides about the pairs; None, and no pairs, where nothing can be tested: with one method, one
            dataset, or one training for all datasets.
        critical_difference: Nemenyi's, in ranks; None if another test decides.
        pairs: All pairs of methods.
        groups: The longest runs of neighbours in which no two differ significantly.
        loose: The pairs that do not differ significantly although no group contains both.
        left_out: Lines on what was not ranked, and why.
        one_training: Whether all datasets share the training of a single seed.
    """

    words: str
    methods: tuple[Ranked, ...]
    datasets: tuple[str, ...]
    seeds: tuple[int, int]
    friedman: float | None
    test: Test | None
    critical_difference: float | None
    pairs: tuple[Pair, ...]
    groups: tuple[tuple[str, ...], ...]
    loose: tuple[tuple[str, str], ...]
    left_out: tuple[str, ...]
    one_training: bool

    def beside(self, label: str) -> tuple[str, ...]:
        """The methods that do not differ significantly from this one, the best rank first."""
        near = {
            other
            for pair in self.pairs
            if not pair.significant and label in (pair.first, pair.second)
            for other in (pair.first, pair.second)
        }
        return tuple(each.label for each in self.methods if each.label in near - {label})


def rank(scores: Scores) -> Ranking:
    """Rank methods over the datasets and seeds that more than half of them have.

    Two methods differ significantly if Friedman's test (from three methods on), the test of the pair and the pair's
    interval all say so.

    Args:
        scores: The scores of the protocol. A method that lacks one of these datasets and seeds is left out, and so are
            further readings of a method.

    Returns:
        The ranking, with all pairs.

    Raises:
        NoScoresError: There is nothing to rank.
    """
    from scipy import stats

    block = complete_block(scores)
    means = np.array([block.values[span].mean(axis=0) for span in spans(block.sizes)])
    # Rounded before ranking: scores that differ only by floating-point error share a rank.
    by_dataset, averages = np.round(reported(means), DECIMALS), reported(means.mean(axis=0))
    ranks = stats.rankdata(-by_dataset, axis=1).mean(axis=0)
    order = sorted(range(len(ranks)), key=lambda place: (ranks[place], -averages[place], block.labels[place]))
    methods = tuple(Ranked(block.labels[at], float(ranks[at]), float(averages[at])) for at in order)
    testable = len(methods) > 1 and len(block.sizes) > 1 and not block.one_training
    overall = friedman(by_dataset) if testable and len(methods) > 2 else None
    test, difference = _test(len(methods), len(block.sizes)) if testable else (None, None)
    pairs = _pairs(block, scores.crossed, order, methods, difference, overall) if testable else ()
    groups = _groups([each.label for each in methods], pairs)
    together = {frozenset(pair) for group in groups for pair in combinations(group, 2)}
    return Ranking(
        words=scores.words,
        methods=methods,
        datasets=block.datasets,
        seeds=(min(block.sizes), max(block.sizes)),
        friedman=overall,
        test=test,
        critical_difference=difference,
        pairs=pairs,
        groups=groups,
        loose=tuple(
            (pair.first, pair.second)
            for pair in pairs
            if not pair.significant and frozenset((pair.first, pair.second)) not in together
        ),
        left_out=block.left_out,
        one_training=block.one_training,
    )


def _test(methods: int, datasets: int) -> tuple[Test, float | None]:
    # Holm multiplies the smallest p-value by the number of pairs: if even that can exceed the level, no pair has a
    # chance.
    """The test for so many methods and datasets, and for Nemenyi's its critical difference in ranks."""
    pairs = methods * (methods - 1) / 2
    if methods == 2 or pairs * smallest_wilcoxon(datasets) <= ALPHA:
        return "Wilcoxon with Holm's correction", None
    return "Nemenyi", critical_difference(methods, datasets)


def _pairs(
    block: Block,
    crossed: bool,
    order: Sequence[int],
    methods: Sequence[Ranked],
    difference: float | None,
    overall: float | None,
) -> tuple[Pair, ...]:
    values = block.values[:, order]
    scored = reported(np.array([values[span].mean(axis=0) for span in spans(block.sizes)]))
    places = list(combinations(range(len(methods)), 2))
    first, second = np.array(places).T
    p_values = wilcoxon((scored[:, first] - scored[:, second]).T).tolist()
    p_holm = holm(p_values)
    differ = overall is None or overall <= ALPHA
    pairs = []
    points = [round(methods[i].average - methods[j].average, DECIMALS) for i, j in places]
    over = _intervals(points, places, values, block.sizes, crossed)
    p_interval = [each.p for each in over]
    sure = holm(p_interval) if crossed else p_interval
    for place, (i, j) in enumerate(places):
        tested = p_holm[place] <= ALPHA if difference is None else methods[j].rank - methods[i].rank >= difference
        pairs.append(
            Pair(
                first=methods[i].label,
                second=methods[j].label,
                difference=points[place],
                low=over[place].low,
                high=over[place].high,
                p=p_values[place],
                p_holm=p_holm[place],
                significant=differ and tested and sure[place] <= ALPHA,
            )
        )
    return tuple(pairs)


def _intervals(
    points: Sequence[float],
    places: Sequence[tuple[int, int]],
    values: Array,
    sizes: tuple[int, ...],
    crossed: bool,
) -> list[Interval]:
    """The intervals of the pairs' differences."""
    if crossed:
        scored = reported(values).reshape(len(sizes), -1, values.shape[1])
        return [
            shared_interval(each, np.round(scored[..., i] - scored[..., j], DECIMALS))
            for each, (i, j) in zip(points, places, strict=True)
        ]
    errors = _errors(values, sizes)
    return [student(each, errors[i, j], len(sizes)) for each, (i, j) in zip(points, places, strict=True)]


def _errors(values: Array, sizes: tuple[int, ...]) -> Array:
    """The bootstrap's standard deviations (methods, methods), in points, of the differences between averages."""
    weights = draw_weights(sizes)
    resampled = reported((weights @ values.reshape(len(values), -1)).reshape(len(weights), *values.shape[1:]))
    # var(a - b) = var(a) + var(b) - 2 cov(a, b): one covariance matrix in place of a resampled difference for each
    # pair. Rounding can make a variance of 0 slightly negative, hence the maximum.
    covariance = np.cov(resampled, rowvar=False, ddof=0)
    variances = covariance.diagonal()
    return np.asarray(np.sqrt(np.maximum(0.0, variances[:, None] + variances - 2 * covariance)))


def _groups(labels: Sequence[str], pairs: Sequence[Pair]) -> tuple[tuple[str, ...], ...]:
    """The longest runs of neighbours, from the best rank on, in which no two differ significantly."""
    near = {frozenset((pair.first, pair.second)) for pair in pairs if not pair.significant}
    groups: list[tuple[str, ...]] = []
    reached = 0
    for start in range(len(labels)):
        end = start + 1
        while end < len(labels) and all(frozenset((labels[end], each)) in near for each in labels[start:end]):
            end += 1
        if end > reached and end - start > 1:
            groups.append(tuple(labels[start:end]))
        reached = max(reached, end)
    return tuple(groups)
