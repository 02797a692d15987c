"""Invented finished runs in the form in which they are exported."""

from datetime import UTC, datetime, timedelta
from typing import Any

from promptarena.benchmark.core.keys import digest
from promptarena.benchmark.core.runs import Cost, PlannedRun, RunResult, RunSpec, Score, StoredResult, Target
from promptarena.benchmark.core.suite_layout import SuiteLayout
from promptarena.benchmark.recording.exports.exported_run import ExportedRun
from promptarena.benchmark.recording.record import Recalled

START = datetime(2026, 1, 1, tzinfo=UTC)
BASE, NOVEL = Target("dtd", "base"), Target("dtd", "novel")
SCORES = (
    Score(BASE, (30, 10), (40, 40)),
    Score(NOVEL, (20,), (80,)),
    Score(NOVEL, (40,), (80,), "class feature"),
)
OUTLINE = SuiteLayout(
    name="small",
    datasets=("dtd",),
    source=None,
    targets=(),
    variants=(),
    few_shot_shots=(1, 2),
    titles={"dtd": "Textures"},
    barred="weights of its own",
)


def planned(method: str = "coop", seed: int | None = 1, suite: str = "small", **recipe: Any) -> PlannedRun:
    """A plan; `recipe` replaces values of the recipe."""
    spec = RunSpec(suite, "base-to-novel", method, "dtd", "base", 16, seed, (BASE, NOVEL), (("n_ctx", "8"),))
    key = digest(method, seed, recipe)
    return PlannedRun(
        spec,
        key=key,
        train_key=digest("train", key),
        config={"n_ctx": 8, "ctx_init": "a photo of é"},
        recipe={"epochs": 5, "lr": 0.002} | recipe,
        provenance={
            "backbone": digest("weights"),
            "precision": "fp32",
            "train_split": digest("split", seed),
            "training_version": 3,
            "targets": {"dtd/base": "abc", "dtd/novel": "def"},
            "own_splits": [],
        },
    )


def result(scores: tuple[Score, ...] = SCORES, **changes: Any) -> RunResult:
    """What came out."""
    values: dict[str, Any] = {
        "scores": scores,
        "cost": Cost(8192, 12.5, 800, 2.25, 600, 512.0),
        "curves": ({"epoch": 1, "loss": 2.0, "lr": 0.1}, {"epoch": 2, "loss": 1 / 3, "lr": 0.1}),
        "environment": {"python": "3.11"},
    }
    return RunResult(**values | changes)


def exported(
    method: str = "coop",
    seed: int | None = 1,
    *,
    out: RunResult | None = None,
    run_id: str = "",
    days: int = 0,
    duplicates: int = 0,
    **recipe: Any,
) -> ExportedRun:
    """A run that ended so many days after the start."""
    plan = planned(method, seed, **recipe)
    finished = START + timedelta(days=days)
    stored = StoredResult(
        run_id=run_id or digest(plan.key, days)[:32],
        run_key=plan.key,
        suite="small",
        protocol="base-to-novel",
        method=method,
        overrides=plan.spec.overrides,
        dataset="dtd",
        shots=16,
        seed=seed,
        backbone="mini-clip",
        miniature=True,
        scores=(),
        cost=result().cost,
        finished_at=finished,
        duplicates=duplicates,
    )
    return ExportedRun.of(stored, Recalled(plan, out or result(), finished - timedelta(minutes=1)))
