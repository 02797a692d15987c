"""What the record says about runs, as plain values: who runs what (RecordedRun), and what came out (StoredResult).

Nothing here imports MLflow: its runs come in as arguments, so the tables can be made where MLflow is not installed.
"""

import math
import os
import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, cast, get_args

import psutil

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.runs import Cost, Subset, Target

if TYPE_CHECKING:
    from mlflow.entities import Run

HEARTBEAT_SECONDS = 600.0
NO_SEED = "none"

Status = Literal["finished", "running", "failed"]


@dataclass(frozen=True)
class RecordedRun:
    """The run that stands for a key: the newest finished one, else the one to resume.

    `owner_alive` is True while the process of a running run lives; `duplicates` counts its key's other finished runs.
    """

    run_id: str
    key: str
    status: Status
    owner_alive: bool
    duplicates: int = 0
    error: str | None = None


@dataclass(frozen=True)
class StoredScore:
    """Right answers among all test images of a target, in one of the method's readings (empty: its own)."""

    target: Target
    correct: int
    total: int
    reading: str = ""


@dataclass(frozen=True)
class StoredResult:
    """A finished run as the record holds it.

    `finished_at` is in UTC, `unscored` says why a target has no score, `own_splits` names the datasets that it trained
    or was scored on in a division made here. `settings` are configuration, recipe and provenance by dotted name, long
    values cut. `imported_from` is the id that an imported run had where it was made, else empty.
    """

    run_id: str
    run_key: str
    suite: str
    protocol: str
    method: str
    label: str
    dataset: str
    shots: int
    seed: int | None
    backbone: str
    miniature: bool
    scores: tuple[StoredScore, ...]
    cost: Cost
    finished_at: datetime
    duplicates: int = 0
    unscored: Mapping[Target, str] = field(default_factory=dict)
    own_splits: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    imported_from: str = ""


@dataclass(frozen=True)
class Owner:
    """The process that runs a run. `started` and `heartbeat` are seconds since the epoch."""

    host: str
    pid: int
    started: float
    heartbeat: float

    @classmethod
    def current(cls) -> "Owner":
        """This process, with a heartbeat of now."""
        return cls(socket.gethostname(), os.getpid(), psutil.Process().create_time(), time.time())

    @classmethod
    def of(cls, tags: Mapping[str, str]) -> "Owner | None":
        """The owner named by a run's tags; None when they name none."""
        try:
            return cls(
                tags["owner.host"],
                int(tags["owner.pid"]),
                float(tags["owner.started"]),
                float(tags["owner.heartbeat"]),
            )
        except (KeyError, ValueError):
            return None

    def tags(self) -> dict[str, str]:
        """The tags that `of` reads."""
        return {f"owner.{item.name}": str(getattr(self, item.name)) for item in fields(self)}

    def is_me(self) -> bool:
        """Whether this process is the owner."""
        return self.host == socket.gethostname() and self.pid == os.getpid() and self.alive()

    def alive(self) -> bool:
        """Whether the owner still runs: asked of the system on this host, judged by the heartbeat's age on another."""
        if self.host != socket.gethostname():
            return time.time() - self.heartbeat < HEARTBEAT_SECONDS
        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            # The kernel counts start times from a boot time that clock corrections move by a second.
            return abs(process.create_time() - self.started) < 2.0
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:
            return True


def index_of(runs: Iterable["Run"]) -> dict[str, RecordedRun]:
    """For each `run_key` among MLflow runs (in any order) the run that stands for it."""
    by_key: dict[str, list[Run]] = {}
    for run in runs:
        if "run_key" in run.data.tags:
            by_key.setdefault(run.data.tags["run_key"], []).append(run)
    return {key: _standing(key, several) for key, several in by_key.items()}


def results_of(runs: Iterable["Run"]) -> list[StoredResult]:
    """The newest finished run of every key, oldest first, with how many other finished runs the key has."""
    by_key: dict[str, list[Run]] = {}
    for run in runs:
        if "run_key" in run.data.tags and run.info.status == "FINISHED":
            by_key.setdefault(run.data.tags["run_key"], []).append(run)
    newest = [(max(several, key=_age), len(several) - 1) for several in by_key.values()]
    newest.sort(key=lambda pair: _age(pair[0]))
    results = [(stored_result(run), others) for run, others in newest]
    return [replace(result, duplicates=result.duplicates + others) for result, others in results]


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


def _standing(key: str, runs: list["Run"]) -> RecordedRun:
    finished = [run for run in runs if run.info.status == "FINISHED"]
    if finished:
        return RecordedRun(max(finished, key=_age).info.run_id, key, "finished", False, len(finished) - 1)
    open_runs = [_unfinished(key, run) for run in sorted(runs, key=_age, reverse=True)]
    return next((run for run in open_runs if run.owner_alive), open_runs[0])


def _unfinished(key: str, run: "Run") -> RecordedRun:
    if run.info.status in ("FAILED", "KILLED"):
        return RecordedRun(run.info.run_id, key, "failed", False, error=run.data.tags.get("error", "killed"))
    owner = Owner.of(run.data.tags)
    return RecordedRun(run.info.run_id, key, "running", owner is not None and owner.alive())


def _age(run: "Run") -> tuple[int, str]:
    ended = run.info.end_time if run.info.status == "FINISHED" else None
    return (ended or run.info.start_time, run.info.run_id)


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
