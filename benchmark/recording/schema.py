"""How a plan and a result become MLflow's tags, params and metrics, and are read back from them."""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from promptarena.benchmark.core.errors import UserError, first_line
from promptarena.benchmark.core.runs import (
    PlannedRun,
    RunResult,
    RunSpec,
    Score,
    StoredResult,
    StoredScore,
    Target,
)
from promptarena.benchmark.recording import names
from promptarena.benchmark.recording.readers import Run

PARAM_CHARACTERS = 6000
PARAM_NAME_CHARACTERS = 250
TAG_CHARACTERS = 8000
"""MLflow's limit on the text of a tag."""

_HEADLINES: Mapping[str, str] = {"union-auroc": "auroc", "union-openworld-auc": "openworld_auc"}
"""The names in MLflow's own charts of what is no accuracy, by subset."""


GARBLED = (KeyError, TypeError, ValueError, RecursionError, UserError)
"""What reading an artifact raises that somebody changed, or another program wrote; pydantic's errors are among them."""

_PLAN = TypeAdapter(PlannedRun)
_SCORES = TypeAdapter(tuple[Score, ...])
_ENVIRONMENT = TypeAdapter(dict[str, str])


def garbled(error: BaseException) -> str:
    """What one of GARBLED says, in one line."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, first['loc'])) or 'its content'} ({first['msg']})"
    return first_line(error)


def run_name(spec: RunSpec) -> str:
    """The name of a run in MLflow's lists."""
    seed = "" if spec.seed is None else f" seed {spec.seed}"
    return f"{spec.label} {spec.protocol} {spec.dataset} {spec.shots} shots{seed}"


def tags_of(spec: RunSpec, backbone_name: str, miniature: bool) -> dict[str, str]:
    """The tags by which runs are found.

    Args:
        spec: What is trained and scored.
        backbone_name: The backbone's name in tables.
        miniature: Whether the suite is a miniature one.

    Returns:
        Texts by tag.
    """
    return {
        **names.SUITE.of(spec.suite),
        **names.PROTOCOL.of(spec.protocol),
        **names.METHOD.of(spec.method),
        **names.LABEL.of(spec.label),
        **_overrides_tag(spec),
        **names.DATASET.of(spec.dataset),
        **names.SUBSET.of(spec.subset),
        **names.SHOTS.of(spec.shots),
        **names.SEED.of(spec.seed),
        **names.BACKBONE.of(backbone_name),
        **names.MINIATURE.of(miniature),
    }


def _overrides_tag(spec: RunSpec) -> dict[str, str]:
    """No tag where it would be cut: `lacks_overrides` then holds, as for runs recorded before there was such a tag."""
    tag = names.OVERRIDES.of(spec.overrides)
    return {} if any(len(text) > TAG_CHARACTERS for text in tag.values()) else tag


def lacks_overrides(run: Run) -> bool:
    """Whether a run's tags leave out what the user changed, so that its plan has to be read."""
    tags = run.data.tags
    return names.OVERRIDES.name not in tags and tags.get(names.LABEL.name) != tags.get(names.METHOD.name)


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
    """Read the plan that `plan_document` wrote.

    Args:
        document: The document.

    Returns:
        The plan.

    Raises:
        One of GARBLED: A field is missing, unknown or of another type.
    """
    return _PLAN.validate_python(document, strict=False)


def scores_document(scores: tuple[Score, ...]) -> list[dict[str, Any]]:
    """Scores as plain values for JSON: a row per target and reading."""
    # `asdict` would copy every count by itself, of thousands of classes.
    return list(_SCORES.dump_python(scores))


def scores_of(document: Iterable[Mapping[str, Any]]) -> tuple[Score, ...]:
    """Read the scores of a run.

    Args:
        document: The content of its scores.json: a row per target and reading.

    Returns:
        The scores.

    Raises:
        One of GARBLED: A field is missing or of another type.
    """
    return _SCORES.validate_python(document)


def environment_of(document: Any) -> dict[str, str]:
    """Read the environment of a run. Raises one of GARBLED when it is no mapping of texts."""
    return _ENVIRONMENT.validate_python(document)


def curves_of(points: Iterable[tuple[str, int, float]]) -> tuple[dict[str, float], ...]:
    """Arrange the points of curves by epoch.

    Args:
        points: Name, epoch (from 1) and value of each point.

    Returns:
        A row per epoch, as in `RunResult`.
    """
    rows: dict[int, dict[str, float]] = {}
    for name, epoch, value in points:
        rows.setdefault(epoch, {"epoch": epoch})[name] = value
    return tuple(rows[epoch] for epoch in sorted(rows))


def params_of(planned: PlannedRun) -> dict[str, str]:
    """The params of a planned run.

    Args:
        planned: The planned run.

    Returns:
        Texts of its settings, recipe and provenance by dotted name. A value past MLflow's limit is cut, and says so.
    """
    return {name: _param(value) for name, (_, value) in zip(param_names(planned), _settings(planned), strict=True)}


def param_names(planned: PlannedRun) -> list[str]:
    """The names under which the settings of a planned run are recorded, in the order of `params_of`.

    Args:
        planned: The planned run.

    Returns:
        A name for each setting. Different settings may get the same name: characters that MLflow refuses become _.
    """
    return [re.sub(r"[^\w./ -]", "_", name)[:PARAM_NAME_CHARACTERS] for name, _ in _settings(planned)]


def _settings(planned: PlannedRun) -> Iterator[tuple[str, Any]]:
    return _flat({"config": planned.config, "recipe": planned.recipe, "provenance": planned.provenance})


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
    note = f"... ({len(text)} characters, whole in {names.PLAN_FILE})"
    return text[: PARAM_CHARACTERS - len(note)] + note


def check_result(result: RunResult) -> None:
    """Check that scores and costs make sense.

    Args:
        result: What came out of a run.

    Raises:
        ValueError: They do not: no images, more right answers than images, a target scored twice, NaN.
    """
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
    """The metrics of a result.

    Args:
        result: What came out of a run.

    Returns:
        For each target the numbers of right answers and of images, the cost, and accuracies in percent (0 to 100) for
        MLflow's own charts.
    """
    metrics: dict[str, float] = {}
    for name, score in headline_scores(result).items():
        metrics[names.CORRECT.of(score.target, score.reading)] = sum(score.correct)
        metrics[names.TOTAL.of(score.target, score.reading)] = sum(score.total)
        metrics[name] = 100 * sum(score.correct) / sum(score.total)
    return metrics | names.cost_metrics(result.cost)


def headline_scores(result: RunResult) -> dict[str, Score]:
    """The scores of a result by the names that their percentages have as metrics."""
    found = {}
    for score in result.scores:
        reading = f"/{score.reading}" if score.reading else ""
        alone = len({other.target for other in result.scores if other.target.subset == score.target.subset}) == 1
        headline = _HEADLINES.get(score.target.subset, f"accuracy_{score.target.subset}")
        found[headline + ("" if alone else f"/{score.target.dataset}") + reading] = score
    return found


def stored_result(run: Run) -> StoredResult:
    """Read the result of a finished run.

    Args:
        run: The MLflow run.

    Returns:
        The result in its tags, params and metrics.

    Raises:
        UserError: Some of it is missing or damaged.
    """
    tags, metrics = run.data.tags, run.data.metrics
    try:
        return StoredResult(
            run_id=run.info.run_id,
            run_key=names.RUN_KEY.read(tags),
            suite=names.SUITE.read(tags),
            protocol=names.PROTOCOL.read(tags),
            method=names.METHOD.read(tags),
            overrides=names.OVERRIDES.read(tags),
            dataset=names.DATASET.read(tags),
            shots=names.SHOTS.read(tags),
            seed=names.SEED.read(tags),
            backbone=names.BACKBONE.read(tags),
            miniature=names.MINIATURE.read(tags),
            scores=_scores(metrics),
            cost=names.cost_of(metrics),
            finished_at=datetime.fromtimestamp(_ended(run) / 1000, UTC),
            unscored=unscored_of(tags),
            own_splits=names.OWN_SPLITS.read(tags),
            duplicates=names.IMPORTED_DUPLICATES.read(tags),
            settings=dict(run.data.params),
            imported_from=names.IMPORTED_FROM.read(tags),
            files=names.FILES.read(tags),
            predictions={target: tags[name] for name, (target, _) in names.PREDICTIONS.among(tags).items()},
        )
    except (KeyError, ValueError) as error:
        raise UserError(
            f"the finished run {run.info.run_id} lacks or garbles {error}; delete it in MLflow to have it run again"
        ) from error


def _ended(run: Run) -> int:
    if run.info.end_time is None:
        raise ValueError("the time of its end")
    return run.info.end_time


def _scores(metrics: Mapping[str, float]) -> tuple[StoredScore, ...]:
    return tuple(
        StoredScore(
            target,
            names.whole(metrics, name),
            names.whole(metrics, names.TOTAL.of(target, reading)),
            reading,
        )
        for name, (target, reading) in sorted(names.CORRECT.among(metrics).items())
    )


def unscored_tags(result: RunResult) -> dict[str, str]:
    """The tags that say why targets have no score."""
    return {names.UNSCORED.of(target): reason for target, reason in sorted(result.unscored.items())}


def unscored_of(tags: Mapping[str, str]) -> dict[Target, str]:
    """Read why targets have no score.

    Args:
        tags: A run's tags.

    Returns:
        The reason by target.

    Raises:
        ValueError: A tag names no target.
    """
    return {target: tags[name] for name, (target, _) in names.UNSCORED.among(tags).items()}
