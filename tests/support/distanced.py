"""Runs with chosen accuracies, and the one distance asked for."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
from score_frames import label_of

from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.core.protocol_table import protocol_info
from promptarena.benchmark.core.runs import Cost, StoredResult, StoredScore, Target
from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.leaderboard.frame import tidy
from promptarena.benchmark.published.distance import Distance, distances

TOTAL = 10_000
ELEVEN = [(name, name.upper()) for name in protocol_info("base-to-novel").published]
TEN = [("imagenet", "ImageNet"), *((name, name.upper()) for name in protocol_info("cross-dataset").published)]
SHIFTS = [
    ("imagenet", "ImageNet"),
    *((name, name.upper()) for name in protocol_info("domain-generalization").published),
]
DTD = [("dtd", "DTD")]
Percents = Mapping[tuple[str, str], float]


def result(name: str | Label, seed: int | None, percents: Percents, number: int = 0, **changes: Any) -> StoredResult:
    """A run with these accuracies, exact to a hundredth of a percent, by dataset and subset."""
    label = label_of(name)
    protocol = changes.get("protocol", "base-to-novel")
    scores = [
        StoredScore(Target(*at), round(value * TOTAL / 100), TOTAL, label.reading) for at, value in percents.items()
    ]  # type: ignore[arg-type]
    return StoredResult(
        **{
            "run_id": f"{label}-{seed}-{number}",
            "run_key": f"{label}-{seed}-{number}",
            "suite": "clip-15",
            "protocol": protocol,
            "method": label.method,
            "overrides": label.overrides,
            "dataset": next(iter(percents))[0] if protocol in ("base-to-novel", "few-shot") else "imagenet",
            "shots": 16,
            "seed": seed,
            "backbone": "ViT-B-16-quickgelu",
            "miniature": False,
            "scores": tuple(scores),
            "cost": Cost(100, 2.0, 300, 4.0, 1000, 50.0),
            "finished_at": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number),
        }
        | changes
    )


def sides(base: float, novel: float = 60.0, dataset: str = "dtd") -> Percents:
    return {(dataset, "base"): base, (dataset, "novel"): novel}


def seeded(bases: Iterable[float], label: str | Label = "coop", **changes: Any) -> pd.DataFrame:
    """The frame of runs on dtd with these base accuracies for seeds 1, 2, ..."""
    return tidy([result(label, seed, sides(base), seed, **changes) for seed, base in enumerate(bases, start=1)])


def only(
    found: Iterable[Distance], label: str | Label = "coop", dataset: str = "dtd", metric: str = "base"
) -> Distance:
    (one,) = [each for each in found if (each.name, each.dataset, each.metric) == (label_of(label), dataset, metric)]
    return one


def judged(frame: pd.DataFrame, published: pd.DataFrame, barred: str = "", **changes: Any) -> Distance:
    return only(distances(BoardQuery(frame, "base-to-novel", DTD, **changes), published, barred=barred))
