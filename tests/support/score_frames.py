"""Tidy frames of invented scores, without any run behind them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.leaderboard.frame import DTYPES, name_columns

DATASETS = tuple((f"d{place}", f"Data {place}") for place in range(11))
Row = tuple[str | Label, str, int | None, Mapping[str, float]]


def label_of(name: str | Label) -> Label:
    """The label of a method whose name alone is given."""
    return Label(name) if isinstance(name, str) else name


def frame_of(rows: Iterable[Row], protocol: str = "base-to-novel", **common: Any) -> pd.DataFrame:
    """A frame of (label or method, target dataset, seed, {subset: accuracy in percent}).

    `common` replaces columns of all rows.

    In the transfer protocols everything was trained on `source`.
    """
    transfer = protocol in ("cross-dataset", "domain-generalization")
    made = [
        {
            "suite": "s",
            "protocol": protocol,
            "dataset": "source" if transfer else dataset,
            "shots": 16,
            "seed": seed,
            "target_dataset": dataset,
            "target_subset": subset,
            "metric": "accuracy",
            "correct": round(100 * percent),
            "total": 10_000,
            "value": percent / 100,
            "trainable_parameters": 1000,
            "train_seconds": 60.0,
            "train_images": 1600,
            "eval_seconds": 2.0,
            "eval_images": 1000,
            "peak_memory_mib": 2000.0,
            "backbone": "clip",
            "miniature": False,
            "own_split": False,
            "run_key": f"k{number}",
            "run_id": f"r{number}",
            "finished_at": pd.Timestamp("2026-01-01", tz="UTC"),
            "duplicates": 0,
        }
        | name_columns(label_of(name))
        | common
        for number, (name, dataset, seed, sides) in enumerate(rows)
        for subset, percent in sides.items()
    ]
    return pd.DataFrame(made, columns=list(DTYPES)).astype(DTYPES)


def drawn_frame(
    random: Any,
    labels: Sequence[str | Label],
    protocol: str = "base-to-novel",
    datasets: int = 11,
    seeds: Sequence[int] = (1, 2, 3),
    shots: Sequence[int] = (16,),
    **common: Any,
) -> pd.DataFrame:
    """Scores of every label on every dataset, drawn about 70 %; a label with "zeroshot" in it has no seed."""
    subsets = ("base", "novel") if protocol == "base-to-novel" else ("all",)
    names = [name for name, _ in DATASETS[:datasets]]
    if protocol in ("cross-dataset", "domain-generalization"):
        names.append("source")
    parts = [
        frame_of(
            (
                (label, name, seed, {subset: round(float(random.normal(70, 5)), 2) for subset in subsets})
                for label in labels
                for name in names
                for seed in ([None] if "zeroshot" in str(label) else seeds)
            ),
            protocol,
            **({"shots": count} | common),
        )
        for count in shots
    ]
    frame = pd.concat(parts, ignore_index=True)
    frame["run_id"] = [f"r{number}" for number in range(len(frame))]
    return frame
