"""Many methods at once: mean ranks over datasets, Friedman's test, and which methods cannot be told apart.

Pairs are tested by Wilcoxon's signed-rank test with Holm's correction, which looks at no other method's scores. Where
the number of pairs leaves that test no chance, whatever the scores, Nemenyi's critical difference of mean ranks is used
instead. Which of the two it is depends on the numbers of methods and datasets alone, never on results. As in any
comparison, the interval over datasets and seeds has to agree before two methods are told apart. Where all datasets
share their trainings it is corrected too, for no test over datasets sees what a training's luck does to all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from promptarena.benchmark.statistics.block import Block, complete_block
from promptarena.benchmark.statistics.bootstrap import Array, draw_weights, spans, student
from promptarena.benchmark.statistics.paired import reported
from promptarena.benchmark.statistics.scores import Scores
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
    """A method's mean rank (1 is best, ties share a rank) and average score in percent, over the ranking's datasets."""

    label: str
    rank: float
    average: float


@dataclass(frozen=True)
class Pair:
    """Two methods of a ranking, the better-ranked first, in points.

    `difference` of their averages with its 95 % interval over datasets and seeds; Wilcoxon's `p` before and after
    Holm's correction.
    """

    first: str
    second: str
    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    told_apart: bool


@dataclass(frozen=True)
class Ranking:
    """Methods from the best mean rank to the worst, over `datasets` (titles) and per dataset `seeds` (fewest, most).

    `friedman` is that test's p (None with fewer than three methods). `test` decided about `pairs`; it is None, and
    there are no pairs, where nothing can be tested: with one method, one dataset, or one training for all datasets.
    `critical_difference` is Nemenyi's. `groups` are the longest runs of neighbours of which no two can be told apart,
    `loose` the pairs that cannot be told apart although no group holds both. `left_out` says in lines what was not
    ranked and why. `one_training`: one seed, the same training on all datasets.
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
        """The methods that cannot be told apart from this one, best rank first."""
        near = {
            other
            for pair in self.pairs
            if not pair.told_apart and label in (pair.first, pair.second)
            for other in (pair.first, pair.second)
        }
        return tuple(each.label for each in self.methods if each.label in near - {label})


def rank(scores: Scores) -> Ranking:
    """Rank methods over the datasets and seeds that more than half of them have.

    A method that lacks one of these is left out; so are further readings of a method. Two methods are told apart when
    Friedman's test (from three methods on), the test of the pair and the pair's interval all say that they differ.
    Raises NoScoresError when there is nothing to rank.
    """
    from scipy import stats

    block = complete_block(scores)
    means = np.array([block.values[span].mean(axis=0) for span in spans(block.sizes)])
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
            if not pair.told_apart and frozenset((pair.first, pair.second)) not in together
        ),
        left_out=block.left_out,
        one_training=block.one_training,
    )


def _test(methods: int, datasets: int) -> tuple[Test, float | None]:
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
    errors = _errors(values, block.sizes, crossed)
    differ = overall is None or overall <= ALPHA
    pairs = []
    points = [round(methods[i].average - methods[j].average, DECIMALS) for i, j in places]
    over = [student(each, errors[i, j], len(block.sizes)) for each, (i, j) in zip(points, places, strict=True)]
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
                told_apart=differ and tested and sure[place] <= ALPHA,
            )
        )
    return tuple(pairs)


def _errors(values: Array, sizes: tuple[int, ...], crossed: bool) -> Array:
    """The bootstrap's standard deviations (methods, methods) of the differences between averages."""
    weights = draw_weights(sizes, crossed)
    resampled = reported((weights @ values.reshape(len(values), -1)).reshape(len(weights), *values.shape[1:]))
    covariance = np.cov(resampled, rowvar=False, ddof=0)
    variances = covariance.diagonal()
    return np.asarray(np.sqrt(np.maximum(0.0, variances[:, None] + variances - 2 * covariance)))


def _groups(labels: Sequence[str], pairs: Sequence[Pair]) -> tuple[tuple[str, ...], ...]:
    near = {frozenset((pair.first, pair.second)) for pair in pairs if not pair.told_apart}
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
