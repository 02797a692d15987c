"""How a plan and a result are spelt in MLflow: tags, params and metrics by name; `record_index` reads them back."""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast, get_args

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.runs import (
    Cost,
    PlannedRun,
    RunResult,
    RunSpec,
    Score,
    StoredResult,
    StoredScore,
    Subset,
    Target,
)

if TYPE_CHECKING:
    from mlflow.entities import Run

PARAM_CHARACTERS = 6000


def run_name(spec: RunSpec) -> str:
    """What the run is called in MLflow's lists."""
    seed = "" if spec.seed is None else f" seed {spec.seed}"
    return f"{spec.label} {spec.protocol} {spec.dataset} {spec.shots} shots{seed}"


def facets(spec: RunSpec, backbone_name: str, miniature: bool) -> dict[str, str]:
    """The tags to filter runs by."""
    return {
        "suite": spec.suite,
        "protocol": spec.protocol,
        "method": spec.method,
        "label": spec.label,
        "dataset": spec.dataset,
        "subset": spec.subset,
        "shots": str(spec.shots),
        "seed": NO_SEED if spec.seed is None else str(spec.seed),
        "backbone": backbone_name,
        "miniature": "true" if miniature else "false",
    }


def plan_document(planned: PlannedRun) -> dict[str, Any]:
    """The plan as plain values for JSON."""
    return {
        "spec": asdict(planned.spec),
        "key": planned.key,
        "train_key": planned.train_key,
        "config": dict(planned.config),
        "recipe": dict(planned.recipe),
        "provenance": dict(planned.provenance),
    }


def planned_run(document: Mapping[str, Any]) -> PlannedRun:
    """The plan that `plan_document` wrote. Raises KeyError or TypeError when it is not one."""
    spec = dict(document["spec"])
    spec["targets"] = tuple(Target(**target) for target in spec["targets"])
    spec["overrides"] = tuple((name, value) for name, value in spec["overrides"])
    return PlannedRun(**{**document, "spec": RunSpec(**spec)})


def scores_of(document: Iterable[Mapping[str, Any]]) -> tuple[Score, ...]:
    """The scores in a run's scores.json. Raises KeyError or TypeError when they are not such."""
    return tuple(
        Score(Target(**row["target"]), tuple(row["correct"]), tuple(row["total"]), row.get("reading", ""))
        for row in document
    )


def curves_of(points: Iterable[tuple[str, int, float]]) -> tuple[dict[str, float], ...]:
    """Curves, a row per epoch as in `RunResult`, from (name, epoch, value)."""
    rows: dict[int, dict[str, float]] = {}
    for name, epoch, value in points:
        rows.setdefault(epoch, {"epoch": epoch})[name] = value
    return tuple(rows[epoch] for epoch in sorted(rows))


def params_of(planned: PlannedRun) -> dict[str, str]:
    """Configuration, recipe and provenance by dotted name; a value past MLflow's limit is cut, and says so."""
    parts = {"config": planned.config, "recipe": planned.recipe, "provenance": planned.provenance}
    return {re.sub(r"[^\w./ -]", "_", name)[:250]: _param(value) for name, value in _flat(parts)}


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _param(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    if len(text) <= PARAM_CHARACTERS:
        return text
    note = f"... ({len(text)} characters, whole in config.json)"
    return text[: PARAM_CHARACTERS - len(note)] + note


def check_result(result: RunResult) -> None:
    """Raise ValueError when scores or costs make no sense: no images, more right than seen, NaN."""
    faults = [fault for score in result.scores if (fault := _fault(score))]
    scored = [(score.target, score.reading) for score in result.scores]
    faults += [f"{target} is scored twice" for target, _ in sorted({s for s in scored if scored.count(s) > 1})]
    faults += [
        f"cost {item.name} is {value}"
        for item in fields(result.cost)
        if not math.isfinite(value := getattr(result.cost, item.name)) or value < 0
    ]
    if faults:
        raise ValueError(f"this result cannot be recorded: {'; '.join(faults)}")


def _fault(score: Score) -> str | None:
    where = f"{score.target.dataset}/{score.target.subset}"
    if len(score.correct) != len(score.total):
        return f"{where} counts {len(score.correct)} classes right but {len(score.total)} seen"
    if any(not 0 <= right <= seen for right, seen in zip(score.correct, score.total, strict=True)):
        return f"{where} has a class with more right answers than images"
    return None if sum(score.total) else f"{where} has no images"


def metrics_of(result: RunResult) -> dict[str, float]:
    """The figures of a result: integers per target, cost, and percentages (0..100) for MLflow's own charts."""
    metrics: dict[str, float] = {}
    for score in result.scores:
        reading = f"/{score.reading}" if score.reading else ""
        place = f"{score.target.dataset}/{score.target.subset}{reading}"
        metrics[f"correct/{place}"] = sum(score.correct)
        metrics[f"total/{place}"] = sum(score.total)
        alone = len({other.target for other in result.scores if other.target.subset == score.target.subset}) == 1
        headline = f"accuracy_{score.target.subset}" + ("" if alone else f"/{score.target.dataset}")
        metrics[headline + reading] = 100 * sum(score.correct) / sum(score.total)
    metrics |= {f"cost/{item.name}": float(getattr(result.cost, item.name)) for item in fields(result.cost)}
    return metrics


NO_SEED = "none"


def stored_result(run: "Run") -> StoredResult:
    """The result in a finished MLflow run's tags and metrics. Raises UserError when some of it is missing."""
    tags, metrics = run.data.tags, run.data.metrics
    try:
        return StoredResult(
            run_id=run.info.run_id,
            run_key=tags["run_key"],
            suite=tags["suite"],
            protocol=tags["protocol"],
            method=tags["method"],
            label=tags["label"],
            dataset=tags["dataset"],
            shots=int(tags["shots"]),
            seed=None if tags["seed"] == NO_SEED else int(tags["seed"]),
            backbone=tags["backbone"],
            miniature=tags["miniature"] == "true",
            scores=_scores(metrics),
            cost=cost_of(metrics),
            finished_at=datetime.fromtimestamp(run.info.end_time / 1000, UTC),
            unscored=unscored_of(tags),
            own_splits=tuple(tags.get("own_splits", "").split()),
            duplicates=int(tags.get("imported_duplicates", "0")),
            settings=dict(run.data.params),
            imported_from=tags.get("imported_from", ""),
        )
    except (KeyError, ValueError) as error:
        raise UserError(
            f"the finished run {run.info.run_id} lacks or garbles {error}; delete it in MLflow to have it run again"
        ) from error


def _scores(metrics: Mapping[str, float]) -> tuple[StoredScore, ...]:
    return tuple(
        StoredScore(
            _target(name),
            _whole(metrics, name),
            _whole(metrics, "total" + name.removeprefix("correct")),
            "/".join(name.split("/")[3:]),
        )
        for name in sorted(metrics)
        if name.startswith("correct/")
    )


def unscored_of(tags: Mapping[str, str]) -> dict[Target, str]:
    """Why targets have no score, from a run's tags. Raises ValueError for a tag that names no target."""
    return {_target(name): reason for name, reason in tags.items() if name.startswith("unscored/")}


def cost_of(metrics: Mapping[str, float]) -> Cost:
    """The cost among a run's metrics. Raises KeyError or ValueError when some of it is missing or no number."""
    return Cost(
        trainable_parameters=_whole(metrics, "cost/trainable_parameters"),
        train_seconds=metrics["cost/train_seconds"],
        train_images=_whole(metrics, "cost/train_images"),
        eval_seconds=metrics["cost/eval_seconds"],
        eval_images=_whole(metrics, "cost/eval_images"),
        peak_memory_mib=metrics["cost/peak_memory_mib"],
    )


def _whole(metrics: Mapping[str, float], name: str) -> int:
    value = metrics[name]
    if not math.isfinite(value) or value != int(value):
        raise ValueError(f"{name} = {value}")
    return int(value)


def _target(name: str) -> Target:
    _, dataset, subset, *_ = name.split("/")
    if subset not in get_args(Subset):
        raise ValueError(name)
    return Target(dataset, cast(Subset, subset))
