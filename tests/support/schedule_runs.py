"""Planned runs without settings, for schedules."""

from promptarena.benchmark.core.runs import PlannedRun, RunSpec, Target


def run(
    method: str, seed: int, protocol: str = "base-to-novel", dataset: str = "food", training: str = ""
) -> PlannedRun:
    targets = (Target(dataset, "base"), Target(dataset, "novel"))
    spec = RunSpec("mini", protocol, method, dataset, "base", 16, seed, targets)  # type: ignore[arg-type]
    key = f"{method} {protocol} {dataset} {seed}"
    return PlannedRun(spec, key, training or key, {}, {}, {})
