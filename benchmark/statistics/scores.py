"""The scores that are compared: the accuracies of one protocol by method, dataset and seed, from the tidy frame."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from promptarena.benchmark.core.errors import UserError, unknown
from promptarena.benchmark.core.labels import counted_shots
from promptarena.benchmark.core.protocol_table import METRICS, Metric, Protocol, protocol_info
from promptarena.benchmark.leaderboard.aggregate import Seed
from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.leaderboard.selection import protocol_rows

_READ = ["label", "seed", "target_dataset", "target_subset", "value"]


class NoScoresError(UserError):
    """Results are missing: there is nothing to compare, to rank or to plot."""


@dataclass(frozen=True)
class Scores:
    """The scores of the methods of one protocol.

    Args:
        protocol: The protocol's name.
        metric: What is scored.
        datasets: (card name, title) in table order; in the transfer protocols the targets only.
        cells: `cells[label][dataset][seed]` has the accuracies in percent of one score: (base, novel) for "hm", whose
            harmonic mean is the score; otherwise a single one. The seed is None for a method that uses no random
            numbers.
        readings: The labels of further readings: other ways to classify with a method's trained learner.
        named: For a method that ran with several numbers of shots, its label with the largest number.
        shots: Training images per class in the few-shot protocol; 0 in the others.
        miniature: Whether results of the miniature are among them.
    """

    protocol: Protocol
    metric: Metric
    datasets: tuple[tuple[str, str], ...]
    cells: Mapping[str, Mapping[str, Mapping[Seed, tuple[float, ...]]]]
    readings: frozenset[str] = frozenset()
    named: Mapping[str, str] = field(default_factory=dict)
    shots: int = 0
    miniature: bool = False

    def find(self, name: str) -> str:
        """The label under which a method has scores.

        Args:
            name: A method's label, with or without its number of shots.

        Raises:
            NoScoresError: It has no scores.
        """
        label = self.named.get(name, name)
        if label not in self.cells:
            raise NoScoresError(str(unknown(f"method with {self.protocol} results", name, self.cells)))
        return label

    @property
    def crossed(self) -> bool:
        """Whether one training per seed is scored on all datasets, so that its luck affects all of them."""
        return protocol_info(self.protocol).is_transfer

    @property
    def words(self) -> str:
        """What is scored, after "points": `HM`, `accuracy at 16 shots`."""
        return METRICS[self.metric].words + (f" at {counted_shots(self.shots)}" if self.shots else "")


def read_scores(
    query: BoardQuery,
    *,
    metric: Metric | None = None,
    shots: int | None = None,
) -> Scores:
    """Read the scores of a leaderboard from the frame.

    Args:
        query: Which leaderboard; only its methods and seeds are read.
        metric: What is scored; None: the protocol's headline metric.
        shots: Training images per class, few-shot only; None: the largest of the query's numbers that occurs.

    Returns:
        The accuracies in percent; in the transfer protocols those of the targets only.

    Raises:
        UserError: The protocol does not have the metric, or as `protocol_rows` does.
    """
    protocol, datasets, labels, seeds = query.protocol, query.datasets, query.labels, query.seeds
    info = protocol_info(protocol)
    known = info.metrics
    if metric is not None and metric not in known:
        raise UserError(f"{protocol} has no metric {metric!r}; known: {', '.join(known)}")
    picked = query.rows if shots is None else protocol_rows(query.frame, protocol, datasets, [shots])
    ours = picked.frame
    if info.is_transfer:
        datasets = datasets[1:]
        ours = ours[ours["target_dataset"].isin([name for name, _ in datasets])]
    if seeds:
        ours = ours[ours["seed"].isna() | ours["seed"].isin(list(seeds))]
    if labels:
        ours = ours[ours["plain_label"].isin(list(map(str, labels)))]
    at = (shots if shots is not None else max(picked.taught, default=0)) if info.by_shots else 0
    if info.by_shots:
        ours = ours[ours["shots"] == at]
    # In ascending order the largest number of shots comes last, so it is the one that `named` keeps.
    ours = ours.sort_values("shots", kind="stable")
    named = dict(zip(ours["plain_label"], ours["label"], strict=True)) if picked.marked else {}
    chosen = metric or info.headline
    methods = ours.drop_duplicates("label").to_dict("records")
    return Scores(
        protocol=protocol,
        metric=chosen,
        datasets=tuple(datasets),
        cells=_cells(ours[_READ].to_dict("records"), METRICS[chosen].subsets),
        readings=frozenset(row["label"] for row in methods if picked.name(row).reading),
        named=named,
        shots=at,
        miniature=bool(ours["miniature"].any()),
    )


def _cells(
    rows: Sequence[Mapping[Any, Any]], subsets: tuple[str, ...]
) -> dict[str, dict[str, dict[Seed, tuple[float, ...]]]]:
    """The complete scores: those with an accuracy for every subset.

    A run without a seed does not count for a method that has runs with seeds.
    """
    found: dict[str, dict[str, dict[Seed, dict[str, float]]]] = {}
    for row in rows:
        by_dataset = found.setdefault(row["label"], {})
        if row["target_subset"] in subsets:
            by_subset = by_dataset.setdefault(row["target_dataset"], {}).setdefault(_seed(row["seed"]), {})
            by_subset[row["target_subset"]] = 100 * float(row["value"])
    cells: dict[str, dict[str, dict[Seed, tuple[float, ...]]]] = {}
    for label, by_dataset in found.items():
        seeded = any(seed is not None for by_seed in by_dataset.values() for seed in by_seed)
        cells[label] = {}
        for dataset, by_seed in by_dataset.items():
            whole = {
                seed: tuple(values[subset] for subset in subsets)
                for seed, values in by_seed.items()
                if len(values) == len(subsets) and not (seeded and seed is None)
            }
            if whole:
                cells[label][dataset] = whole
    return cells


def _seed(value: Any) -> Seed:
    import pandas as pd

    return None if pd.isna(value) else int(value)
