"""The scores that many methods have in common: all of them on the same datasets and seeds, as ranks require."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from promptarena.benchmark.leaderboard.aggregate import Seed
from promptarena.benchmark.statistics.bootstrap import Array
from promptarena.benchmark.statistics.scores import NoScoresError, Scores


@dataclass(frozen=True)
class Block:
    """A complete block of scores.

    Args:
        labels: The methods.
        datasets: The datasets' titles.
        sizes: The number of seeds of each dataset.
        values: (cells, methods, sides) accuracies in percent. A cell is a dataset and a seed, dataset by dataset; the
            sides are base and novel for HM, otherwise one.
        left_out: Lines on what is not in the block, and why.
        one_training: Whether all datasets share the training of a single seed, so that nothing can be said of other
            seeds.
    """

    labels: tuple[str, ...]
    datasets: tuple[str, ...]
    sizes: tuple[int, ...]
    values: Array
    left_out: tuple[str, ...]
    one_training: bool


def complete_block(scores: Scores) -> Block:
    """Select the datasets and seeds that more than half of the methods have, and the methods that have all of these.

    Args:
        scores: The scores. Further readings of a method take no part.

    Returns:
        The block. A method without seeds has its one score in the cell of every seed.

    Raises:
        NoScoresError: Nothing is left.
    """
    names = [label for label in scores.cells if label not in scores.readings]
    seeds = _common(scores, names)
    kept = [label for label in names if all(_has(scores, label, name, drawn) for name, drawn in seeds.items())]
    if not seeds or not kept:
        raise NoScoresError(
            f"no methods with {scores.words} on the same datasets and seeds of {scores.protocol}; run them on the same"
        )
    sizes = tuple(map(len, seeds.values()))
    seeded = any(None not in scores.cells[label][name] for label in kept for name in seeds)
    return Block(
        labels=tuple(kept),
        datasets=tuple(title for name, title in scores.datasets if name in seeds),
        sizes=sizes,
        values=np.array(
            [[_at(scores, label, name, seed) for label in kept] for name, drawn in seeds.items() for seed in drawn]
        ),
        left_out=_left_out(scores, names, kept, seeds),
        one_training=scores.crossed and max(sizes) == 1 and seeded,
    )


def _common(scores: Scores, names: Sequence[str]) -> dict[str, list[Seed]]:
    """The seeds, by dataset, that more than half of the methods have; a method without seeds counts for each."""
    common: dict[str, list[Seed]] = {}
    for name, _ in scores.datasets:
        cells = [scores.cells[label][name] for label in names if name in scores.cells[label]]
        seedless = sum(None in each for each in cells)
        votes = Counter(seed for each in cells for seed in each if seed is not None)
        drawn = sorted(seed for seed, count in votes.items() if 2 * (count + seedless) > len(names))
        if drawn:
            common[name] = [*drawn]
        elif not votes and 2 * seedless > len(names):
            common[name] = [None]
    if not scores.crossed or not common:
        return common
    # Shared trainings: a seed counts only where all datasets have it, since the bootstrap draws it for all at once.
    everywhere = set.intersection(*map(set, common.values()))
    return {name: [seed for seed in drawn if seed in everywhere] for name, drawn in common.items() if everywhere}


def _has(scores: Scores, label: str, name: str, seeds: Sequence[Seed]) -> bool:
    cells = scores.cells[label].get(name, {})
    return None in cells or all(seed in cells for seed in seeds)


def _at(scores: Scores, label: str, name: str, seed: Seed) -> tuple[float, ...]:
    cells = scores.cells[label][name]
    return cells[None] if None in cells else cells[seed]


def _left_out(
    scores: Scores, names: Sequence[str], kept: Sequence[str], seeds: dict[str, list[Seed]]
) -> tuple[str, ...]:
    titles = [title for name, title in scores.datasets if name not in seeds]
    lines = [f"{', '.join(titles)}: at most half of the methods have them"] if titles else []
    for label in names:
        if label not in kept:
            lacking = sum(not _has(scores, label, name, drawn) for name, drawn in seeds.items())
            lines.append(f"{label}: lacks scores on {lacking} of {len(seeds)} datasets")
    return tuple(lines)
