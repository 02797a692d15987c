"""Planned runs and results to record, and a short way to begin one."""

from promptarena.benchmark.core.keys import digest
from promptarena.benchmark.core.runs import Cost, PlannedRun, RunResult, RunSpec, Score, Target
from promptarena.benchmark.recording.owner import Owner
from promptarena.benchmark.recording.record import ParentRuns, Record

COST = Cost(8192, 12.5, 800, 2.5, 600, 512.0)


def plan(
    suite: str, *, seed: int | None = 1, method: str = "coop", protocol: str = "base-to-novel", **config: object
) -> PlannedRun:
    targets = (Target("dtd", "base"), Target("dtd", "novel"))
    spec = RunSpec(suite, protocol, method, "dtd", "base", 16, seed, targets)  # type: ignore[arg-type]
    key = digest(suite, method, seed, protocol, {name: str(value) for name, value in config.items()})
    return PlannedRun(
        spec,
        key,
        train_key=digest("train", key),
        config={"n_ctx": 4, **config},
        recipe={"epochs": 5, "optimizer": {"name": "sgd", "lr": 0.002}},
        provenance={"train_split": digest("split", seed), "targets": {"dtd/base": "abc"}},
    )


def result(correct: int = 30, **changes: object) -> RunResult:
    scores = (
        Score(Target("dtd", "base"), (correct, 10), (40, 40)),
        Score(Target("dtd", "novel"), (20,), (80,)),
        Score(Target("dtd", "novel"), (40,), (80,), "class feature"),
    )
    return RunResult(**{"scores": scores, "cost": COST, "environment": {"python": "3.11"}} | changes)  # type: ignore[arg-type]


def begin(record: Record, planned: PlannedRun) -> str:
    comparison = record.comparison(planned.spec.suite, digest("comparison"), "a comparison")
    parents = ParentRuns(comparison, record.method_run(comparison, planned.spec.name))
    return record.begin(planned, parents, "mini-clip", miniature=True)


def disown(record: Record, run_id: str) -> None:
    """Make the run look as if a process that is gone had started it."""
    for name, value in Owner(Owner.current().host, 2**22 + 1, 1.0, 1.0).tags().items():
        record.access.client.set_tag(run_id, name, value)
