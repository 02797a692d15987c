"""Reads a record through MLflow's own client, as an outsider would."""

from pathlib import Path
from typing import Any

import numpy as np
from e2e_world import SUITE
from mlflow import MlflowClient
from mlflow.entities import Run
from safetensors.numpy import load


def client(results: Path) -> MlflowClient:
    return MlflowClient(tracking_uri=f"sqlite:///{results / 'mlflow.db'}")


def runs(results: Path, level: str = "run", suite: str = SUITE) -> list[Run]:
    """All runs of a level: comparison, method or run."""
    store = client(results)
    experiment = store.get_experiment_by_name(f"promptarena/{suite}")
    if experiment is None:
        return []
    found = store.search_runs([experiment.experiment_id], f"tags.level = '{level}'", max_results=5000)
    return list(found)


def name(run: Run) -> str:
    tags = run.data.tags
    return " ".join(tags[part] for part in ("label", "protocol", "dataset", "shots", "seed"))


def artifacts(results: Path, run: Run, folder: str | None = None) -> set[str]:
    return {file.path for file in client(results).list_artifacts(run.info.run_id, folder)}


def read(results: Path, run: Run, artifact: str) -> bytes:
    return Path(client(results).download_artifacts(run.info.run_id, artifact)).read_bytes()


def curves(results: Path, run: Run) -> dict[str, list[tuple[int, float]]]:
    store = client(results)
    return {
        key: sorted((point.step, point.value) for point in store.get_metric_history(run.info.run_id, key))
        for key in run.data.metrics
        if key.startswith("curves/")
    }


def figures(results: Path, suite: str = SUITE) -> dict[str, dict[str, Any]]:
    """Everything of each finished run that must not depend on how it came about; its times and memory are left out."""
    return {
        name(run): {
            "figures": {
                key: value for key, value in run.data.metrics.items() if not key.startswith(("cost/", "curves/"))
            },
            "scores": read(results, run, "scores.json"),
            "split": read(results, run, "split.json"),
            "curves": curves(results, run),
            "learned": _bits(load(read(results, run, "learned.safetensors"))),
        }
        for run in runs(results, suite=suite)
        if run.info.status == "FINISHED"
    }


def _bits(tensors: dict[str, np.ndarray]) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    return {key: (str(value.dtype), value.shape, value.tobytes()) for key, value in sorted(tensors.items())}
