"""A finished run as an exported file has it; needs neither torch nor MLflow."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC
from typing import Annotated, Any, ClassVar, Self, get_type_hints

from pydantic import Field, ValidationError, create_model, model_validator

from promptarena.benchmark.core.config_files import Text, misfit
from promptarena.benchmark.core.protocol_table import Protocol
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
from promptarena.benchmark.core.suite_layout import Name
from promptarena.benchmark.recording.exports.checksummed import Checksummed, Digest, Values, json_bytes
from promptarena.benchmark.recording.exports.holdable import (
    MOST,
    Amount,
    Count,
    Moment,
    Plain,
    Reading,
    Short,
    check_curves,
    check_params,
    check_provenance,
    check_values,
)
from promptarena.benchmark.recording.record import Imported, Recalled
from promptarena.benchmark.recording.schema import check_result, param_names, params_of


class ExportedTarget(Values):
    """As `Target`."""

    dataset: Name
    subset: Subset


class ExportedSpec(Values):
    """As `RunSpec`, with the label that tables show."""

    protocol: Protocol
    method: Plain
    label: Text
    dataset: Name
    subset: Subset
    shots: Annotated[Count, Field(ge=1)]
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None
    targets: tuple[ExportedTarget, ...]
    overrides: tuple[tuple[Plain, str], ...]


class ExportedScore(Values):
    """As `Score`: right answers and test images per class, in label order."""

    target: ExportedTarget
    reading: Reading = Field(description="another way in which the learner scores the same images; empty: its own")
    correct: tuple[Count, ...]
    total: tuple[Count, ...]


class NotScored(Values):
    """A target that could not be scored, and why."""

    target: ExportedTarget
    reason: Short


_BOUNDED: Mapping[type, Any] = {int: Count, float: Amount}
_COSTS: dict[str, Any] = {
    name: (_BOUNDED[kind], Field(default=getattr(Cost, name, ...))) for name, kind in get_type_hints(Cost).items()
}


class ExportedCost(create_model("ExportedCost", __base__=Values, **_COSTS)):  # type: ignore[misc]
    """As `Cost`: seconds of wall-clock, MiB at the peak."""


class ExportedRun(Checksummed):
    """A finished run: what it was planned as, what came out, and what it rests on.

    Accuracies follow from the integers alone. Curves have a row per epoch, null where a value was no finite number.
    """

    TITLE: ClassVar[str] = "A run exported by promptarena"

    suite: Name
    backbone: Plain = Field(description="the name; the digest of its weights is in provenance")
    miniature: bool
    spec: ExportedSpec
    run_key: Digest
    train_key: Digest
    config: dict[str, Any]
    recipe: dict[str, Any]
    provenance: dict[str, Any] = Field(description="digests of backbone, splits, targets and method; versions")
    environment: dict[str, str]
    scores: tuple[ExportedScore, ...]
    unscored: tuple[NotScored, ...]
    cost: ExportedCost
    curves: tuple[dict[str, float | None], ...]
    started_at: Moment
    finished_at: Moment
    run_id: Plain = Field(description="its id in the MLflow record that it was made in")
    duplicates: Count = Field(description="how many more finished runs that record has of this key")

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        planned = self.planned()
        if planned.spec.label != self.spec.label:
            raise ValueError(f"the label {self.spec.label!r} is not that of the method with its overrides")
        check_result(self.result())
        known = {part for target in planned.spec.targets for part in target.parts}
        scored = {_target(score.target) for score in self.scores}
        holes = {_target(hole.target) for hole in self.unscored}
        if not scored | holes <= known or scored & holes:
            raise ValueError("scores and unscored must name targets of the spec, each in one of both only")
        if sum(sum(score.total) for score in self.scores) > MOST:
            raise ValueError("scores count more images than a record can hold")
        check_curves(self.curves)
        for name in ("config", "recipe", "provenance", "environment"):
            check_values(name, getattr(self, name))
        check_values("spec.overrides", self.spec.overrides)
        check_values("unscored", [hole.reason for hole in self.unscored])
        check_provenance(self.provenance)
        check_params(param_names(planned))
        return self

    @classmethod
    def of(cls, stored: StoredResult, recalled: Recalled) -> Self:
        """Export a recorded run.

        Args:
            stored: The run in the record's list of results.
            recalled: Its plan and its whole result.

        Returns:
            The export. An imported run keeps the id that it had where it was made.

        Raises:
            UserError: It holds something that no other record could hold.
        """
        try:
            return cls._of(stored, recalled)
        except ValidationError as error:
            where = f"run {stored.run_id} ({recalled.planned.spec.label}) cannot be exported"
            raise misfit(where, cls, error) from error

    @classmethod
    def _of(cls, stored: StoredResult, recalled: Recalled) -> Self:
        planned, result, started_at = recalled
        spec = planned.spec
        values = asdict(spec)
        suite = values.pop("suite")
        return cls.checksummed(
            suite=suite,
            backbone=stored.backbone,
            miniature=stored.miniature,
            spec=ExportedSpec(**{**values, "targets": tuple(map(_exported, spec.targets)), "label": spec.label}),
            run_key=planned.key,
            train_key=planned.train_key,
            config=dict(planned.config),
            recipe=dict(planned.recipe),
            provenance=dict(planned.provenance),
            environment=dict(result.environment),
            scores=tuple(
                ExportedScore(
                    target=_exported(score.target), reading=score.reading, correct=score.correct, total=score.total
                )
                for score in result.scores
            ),
            unscored=tuple(
                NotScored(target=_exported(target), reason=reason) for target, reason in sorted(result.unscored.items())
            ),
            cost=ExportedCost(**asdict(result.cost)),
            curves=tuple({name: _finite(value) for name, value in row.items()} for row in result.curves),
            started_at=started_at,
            finished_at=stored.finished_at,
            run_id=stored.imported_from or stored.run_id,
            duplicates=stored.duplicates,
        )

    def planned(self) -> PlannedRun:
        """The plan of the run."""
        spec = RunSpec(
            self.suite,
            self.spec.protocol,
            self.spec.method,
            self.spec.dataset,
            self.spec.subset,
            self.spec.shots,
            self.spec.seed,
            tuple(map(_target, self.spec.targets)),
            self.spec.overrides,
        )
        return PlannedRun(spec, self.run_key, self.train_key, self.config, self.recipe, self.provenance)

    def result(self, files: Mapping[str, bytes] | None = None) -> RunResult:
        """What came out of the run.

        Args:
            files: The content of the files that belong to it, by name.
        """
        return RunResult(
            scores=tuple(
                Score(_target(score.target), score.correct, score.total, score.reading) for score in self.scores
            ),
            cost=Cost(**self.cost.model_dump()),
            curves=tuple(
                {name: math.nan if value is None else value for name, value in row.items()} for row in self.curves
            ),
            unscored={_target(hole.target): hole.reason for hole in self.unscored},
            files=files or {},
            environment=self.environment,
        )

    def imported(self) -> Imported:
        """Where the run comes from, for the record."""
        return Imported(self.run_id, self.started_at, self.finished_at, self.duplicates)

    def stored(self) -> StoredResult:
        """The run as a record would list it."""
        return StoredResult(
            run_id=self.run_id,
            run_key=self.run_key,
            suite=self.suite,
            protocol=self.spec.protocol,
            method=self.spec.method,
            overrides=self.spec.overrides,
            dataset=self.spec.dataset,
            shots=self.spec.shots,
            seed=self.spec.seed,
            backbone=self.backbone,
            miniature=self.miniature,
            scores=tuple(
                StoredScore(_target(score.target), sum(score.correct), sum(score.total), score.reading)
                for score in sorted(self.scores, key=_place)
            ),
            cost=Cost(**self.cost.model_dump()),
            finished_at=self.finished_at.astimezone(UTC),
            duplicates=self.duplicates,
            unscored={_target(hole.target): hole.reason for hole in self.unscored},
            own_splits=tuple(self.provenance.get("own_splits", ())),
            settings=params_of(self.planned()),
        )


def run_schema() -> str:
    """The JSON schema of an exported run, as it is published."""
    schema = ExportedRun.model_json_schema(mode="serialization")
    draft = "https://json-schema.org/draft/2020-12/schema"
    return json_bytes({**schema, "$schema": draft, "title": ExportedRun.TITLE}).decode()


def _target(target: ExportedTarget) -> Target:
    return Target(target.dataset, target.subset)


def _exported(target: Target) -> ExportedTarget:
    return ExportedTarget(dataset=target.dataset, subset=target.subset)


def _place(score: ExportedScore) -> str:
    """The order in which the record lists scores."""
    return "/".join(filter(None, (score.target.dataset, score.target.subset, score.reading)))


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
