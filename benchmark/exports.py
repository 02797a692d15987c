"""Finished runs as plain JSON files, each sealed by a SHA-256 over its content; needs neither torch nor MLflow.

A folder holds runs/KEY.json, a file per run, and manifest.json, which lists them with their digests and says how the
suite's tables are laid out. Trained tensors may lie beside them, in files/KEY/.
"""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from promptarena.benchmark.cards import Text
from promptarena.benchmark.errors import UserError
from promptarena.benchmark.keys import file_digest
from promptarena.benchmark.modelfiles import read_bytes, read_json_model
from promptarena.benchmark.outline import Name, Outline
from promptarena.benchmark.record import Imported, Recalled
from promptarena.benchmark.record_index import StoredResult, StoredScore
from promptarena.benchmark.record_values import check_result, params_of
from promptarena.benchmark.spec import Cost, PlannedRun, Protocol, RunResult, RunSpec, Score, Subset, Target

SCHEMA_VERSION: Literal[1] = 1
MANIFEST = "manifest.json"

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0)]
FileName = Literal["learned.safetensors", "split.json"]
FILE_NAMES: tuple[FileName, ...] = ("learned.safetensors", "split.json")


class NewerSchemaError(UserError):
    """A file was written by a later version of promptarena."""


class _Values(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class _Sealed(_Values):
    """A file with its version and the SHA-256 of the rest of it: compact JSON with sorted keys, in UTF-8."""

    schema_version: Literal[1] = SCHEMA_VERSION
    digest: Digest

    @classmethod
    def sealed(cls, **fields: Any) -> Self:
        """The document of these fields, with its digest."""
        unsealed = cls(**fields, digest="0" * 64)
        return unsealed.model_copy(update={"digest": content_digest(unsealed.model_dump(mode="json"))})

    def content(self) -> bytes:
        """The file, always the same bytes for the same values."""
        return _pretty(self.model_dump(mode="json"))


class ExportedTarget(_Values):
    """As `Target`."""

    dataset: Name
    subset: Subset


class ExportedSpec(_Values):
    """As `RunSpec`, with the label that tables show."""

    protocol: Protocol
    method: Text
    label: Text
    dataset: Name
    subset: Subset
    shots: Annotated[int, Field(ge=1)]
    seed: Count | None
    targets: tuple[ExportedTarget, ...]
    overrides: tuple[tuple[str, str], ...]


class ExportedScore(_Values):
    """As `Score`: right answers and test images per class, in label order."""

    target: ExportedTarget
    reading: str = Field(description="another way in which the learner scores the same images; empty: its own")
    correct: tuple[Count, ...]
    total: tuple[Count, ...]


class ExportedHole(_Values):
    """A target that could not be scored, and why."""

    target: ExportedTarget
    reason: str


class ExportedCost(_Values):
    """As `Cost`: seconds of wall-clock, MiB at the peak."""

    trainable_parameters: Count
    train_seconds: Amount
    train_images: Count
    eval_seconds: Amount
    eval_images: Count
    peak_memory_mib: Amount


class ExportedRun(_Sealed):
    """A finished run: what it was planned as, what came out, and what it rests on.

    Accuracies follow from the integers alone. Curves have a row per epoch, null where a value was no finite number.
    """

    TITLE: ClassVar[str] = "A run exported by promptarena"

    suite: Name
    backbone: Text = Field(description="the name; the digest of its weights is in provenance")
    miniature: bool
    spec: ExportedSpec
    run_key: Digest
    train_key: Digest
    config: dict[str, Any]
    recipe: dict[str, Any]
    provenance: dict[str, Any] = Field(description="digests of backbone, splits, targets and method; versions")
    environment: dict[str, str]
    scores: tuple[ExportedScore, ...]
    unscored: tuple[ExportedHole, ...]
    cost: ExportedCost
    curves: tuple[dict[str, float | None], ...]
    started_at: AwareDatetime
    finished_at: AwareDatetime
    run_id: Text = Field(description="its id in the MLflow record that it was made in")
    duplicates: Count = Field(description="how many more finished runs that record has of this key")

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        planned = self.planned()
        if planned.spec.label != self.spec.label:
            raise ValueError(f"the label {self.spec.label!r} is not that of the method with its overrides")
        check_result(self.result())
        known = set(planned.spec.targets)
        scored = {_target(score.target) for score in self.scores}
        holes = {_target(hole.target) for hole in self.unscored}
        if not scored | holes <= known or scored & holes:
            raise ValueError("scores and unscored must name targets of the spec, each in one of both only")
        if any("epoch" not in row for row in self.curves):
            raise ValueError("a row of the curves has no epoch")
        return self

    @classmethod
    def of(cls, stored: StoredResult, recalled: Recalled) -> Self:
        """The export of a recorded run. An imported one keeps the id that it had where it was made."""
        planned, result, started_at = recalled
        spec = planned.spec
        values = asdict(spec)
        suite = values.pop("suite")
        return cls.sealed(
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
                ExportedHole(target=_exported(target), reason=reason)
                for target, reason in sorted(result.unscored.items())
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

    def result(self, files: Mapping[str, Path] | None = None) -> RunResult:
        """What came out, with these files."""
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
            label=self.spec.label,
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


class Manifest(_Sealed):
    """What an export holds: the digest of each run by its key, the SHA-256 of each further file by KEY and name."""

    suite: Outline
    count: Count
    runs: dict[Digest, Digest]
    files: dict[Digest, dict[FileName, Digest]]

    @model_validator(mode="after")
    def _counts(self) -> Self:
        if self.count != len(self.runs):
            raise ValueError(f"it counts {self.count} runs but lists {len(self.runs)}")
        if unknown := set(self.files) - set(self.runs):
            raise ValueError(f"it lists files of runs that it does not list: {', '.join(sorted(unknown))}")
        return self


@dataclass(frozen=True)
class Export:
    """A whole, verified export."""

    folder: Path
    manifest: Manifest
    runs: tuple[ExportedRun, ...]

    def files(self, run_key: str) -> dict[str, Path]:
        """The files that lie beside a run, by name."""
        return {name: _file(self.folder, run_key, name) for name in self.manifest.files.get(run_key, {})}


def content_digest(document: Mapping[str, Any]) -> str:
    """SHA-256 (64 hex digits) of a document without its `digest`, as compact JSON with sorted keys, in UTF-8."""
    rest = {name: value for name, value in document.items() if name != "digest"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def run_schema() -> str:
    """The JSON schema of an exported run, as it is published."""
    schema = ExportedRun.model_json_schema(mode="serialization")
    draft = "https://json-schema.org/draft/2020-12/schema"
    return _pretty({**schema, "$schema": draft, "title": ExportedRun.TITLE}).decode()


def read_export(folder: Path) -> Export:
    """An export with every file in it verified.

    Raises UserError naming the first file that is missing, changed, cut short, not listed, of a newer schema, or
    outside the folder.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        raise UserError(
            f"{folder} holds no {MANIFEST}: no export, or one that did not end; give promptarena export again"
        )
    found = {path.stem for path in (folder / "runs").glob("*.json")}
    if stray := sorted(found - set(manifest.runs)):
        path = folder / "runs" / f"{stray[0]}.json"
        raise UserError(f"{path} is not listed in {MANIFEST}; give promptarena export again, or remove the file")
    runs = []
    for key, digest in sorted(manifest.runs.items()):
        run = read_run(folder, key)
        if run.digest != digest:
            raise UserError(f"{_run(folder, key)} is not the file that {MANIFEST} lists; export it again")
        if run.suite != manifest.suite.name:
            raise UserError(f"{_run(folder, key)} is of suite {run.suite}, not {manifest.suite.name}; export it again")
        runs.append(run)
    for key, listed in manifest.files.items():
        for name, digest in listed.items():
            path = _inside(folder, _file(folder, key, name))
            if file_digest(path) != digest:
                raise UserError(f"{path} is damaged: its digest is not the one in {MANIFEST}; export it again")
    return Export(folder, manifest, tuple(runs))


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of an export; None where there is none. Raises UserError when it is damaged or newer."""
    path = folder / MANIFEST
    return _read(path, folder, Manifest) if path.exists() else None


def read_run(folder: Path, key: str) -> ExportedRun:
    """A run of an export. Raises UserError when its file is missing, damaged, newer, or that of another run."""
    path = _run(folder, key)
    run = _read(path, folder, ExportedRun)
    if run.run_key != key:
        raise UserError(f"{path} holds the run {run.run_key}; its name must be the run's key; export it again")
    return run


def write_run(folder: Path, run: ExportedRun) -> None:
    """Add a run to an export, atomically, in place of another one of its key and that one's files. Raises UserError
    when it cannot be written."""
    shutil.rmtree(folder / "files" / run.run_key, ignore_errors=True)
    _write(_run(folder, run.run_key), run.content())


def write_file(folder: Path, run_key: str, source: Path) -> None:
    """Add a run's file to an export, atomically. Raises UserError when it cannot be written."""
    _write(_file(folder, run_key, source.name), source)


def write_manifest(folder: Path, outline: Outline) -> Manifest:
    """List all that lies in the folder, atomically; the export is whole then. Raises UserError when a run is not."""
    keys = sorted(path.stem for path in (folder / "runs").glob("*.json"))
    runs = {key: read_run(folder, key).digest for key in keys}
    files = {
        key: {name: file_digest(path) for name in FILE_NAMES if (path := _file(folder, key, name)).exists()}
        for key in keys
    }
    listed = {key: named for key, named in files.items() if named}
    manifest = Manifest.sealed(suite=outline, count=len(runs), runs=runs, files=listed)
    _write(folder / MANIFEST, manifest.content())
    return manifest


def merged(exports: Sequence[Export]) -> list[ExportedRun]:
    """The runs of several exports of one suite, one per key: the newest, with the others counted as its duplicates.

    Raises UserError when two exports hold one run with different content.
    """
    by_id: dict[tuple[str, str], tuple[ExportedRun, Path]] = {}
    for export in exports:
        for run in export.runs:
            known, folder = by_id.setdefault((run.run_key, run.run_id), (run, export.folder))
            if _without_duplicates(known) != _without_duplicates(run):
                raise UserError(
                    f"run {run.run_key}.json differs between {folder} and {export.folder}, though both say that it is "
                    f"run {run.run_id}; one was changed: leave one out"
                )
            if run.duplicates > known.duplicates:
                by_id[run.run_key, run.run_id] = (run, export.folder)
    by_key: dict[str, list[ExportedRun]] = {}
    for run, _ in by_id.values():
        by_key.setdefault(run.run_key, []).append(run)
    return [_newest(runs) for _, runs in sorted(by_key.items())]


def _newest(runs: Sequence[ExportedRun]) -> ExportedRun:
    newest = max(runs, key=lambda run: (run.finished_at, run.run_id))
    others = sum(1 + run.duplicates for run in runs) - 1
    return newest if others == newest.duplicates else _counting(newest, others)


def _counting(run: ExportedRun, duplicates: int) -> ExportedRun:
    changed = run.model_copy(update={"duplicates": duplicates})
    return changed.model_copy(update={"digest": content_digest(changed.model_dump(mode="json"))})


def _without_duplicates(run: ExportedRun) -> ExportedRun:
    return run.model_copy(update={"duplicates": 0, "digest": ""})


Model = TypeVar("Model", bound=_Sealed)


def _read(path: Path, folder: Path, model: type[Model]) -> Model:
    content = read_bytes(_inside(folder, path))
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not whole: {error}; export it again") from error
    version = document.get("schema_version") if isinstance(document, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise NewerSchemaError(
            f"{path} has schema version {version}, this promptarena reads {SCHEMA_VERSION}; upgrade promptarena, or "
            "export it again with this version"
        )
    if isinstance(document, dict) and "digest" in document and document["digest"] != content_digest(document):
        raise UserError(f"{path} was changed: its content does not have the digest that it names; export it again")
    return read_json_model(path, content, model)


def _inside(folder: Path, path: Path) -> Path:
    """The path. Raises UserError when a link leads out of the folder."""
    if not path.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{path} leads out of {folder}; an export holds its files itself")
    return path


def _run(folder: Path, key: str) -> Path:
    return folder / "runs" / f"{key}.json"


def _file(folder: Path, key: str, name: str) -> Path:
    return folder / "files" / key / name


def _write(path: Path, content: bytes | Path) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            temporary.write_bytes(content)
        else:
            shutil.copyfile(content, temporary)
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise UserError(f"cannot write {path}: {error.strerror}; free space or choose another folder") from error


def _pretty(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _target(target: ExportedTarget) -> Target:
    return Target(target.dataset, target.subset)


def _exported(target: Target) -> ExportedTarget:
    return ExportedTarget(dataset=target.dataset, subset=target.subset)


def _place(score: ExportedScore) -> str:
    """The order in which the record lists scores."""
    return "/".join(filter(None, (score.target.dataset, score.target.subset, score.reading)))


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
