"""Results that tables are built from."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from promptarena.benchmark.core.runs import Cost, StoredResult, StoredScore, Target
from promptarena.benchmark.leaderboard.model import Board, Cell

DATASETS = [("imagenet", "ImageNet"), ("dtd", "DTD"), ("eurosat", "EuroSAT")]
Scores = Mapping[tuple[str, str], tuple[int, int]]


def results_of(
    runs: Iterable[tuple[str, str, int | None, Scores]], protocol: str = "base-to-novel", **common: Any
) -> list[StoredResult]:
    """Results of (label, trained dataset, seed, {(dataset, subset): (correct, total)}), each newer than the last."""
    return [
        StoredResult(
            **{
                "run_id": f"r{number}",
                "run_key": f"k{number}",
                "suite": "mini",
                "protocol": protocol,
                "method": label,
                "dataset": dataset,
                "shots": 16,
                "seed": seed,
                "backbone": "mini-clip",
                "miniature": False,
                "scores": tuple(StoredScore(Target(*target), *counts) for target, counts in scores.items()),  # type: ignore[arg-type]
                "cost": Cost(100, 2.0, 300, 4.0, 1000, 50.0),
                "finished_at": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number),
            }
            | common
        )
        for number, (label, dataset, seed, scores) in enumerate(runs)
    ]


def sides(dataset: str, base: int, novel: int, total: int = 1000) -> Scores:
    return {(dataset, "base"): (base, total), (dataset, "novel"): (novel, total)}


def cell(board: Board, table: str, label: str, column: str) -> Cell:
    (found,) = [each for each in board.tables if each.key == table]
    (row,) = [each for each in found.rows if each.label == label]
    return row.cells[[each.key for each in found.columns].index(column)]


counts = st.integers(0, 200)
