"""The values that travel through the harness: what to run (RunSpec), what it is exactly (PlannedRun), what came out
(RunResult).

All are frozen and made of plain types, so the planner, the runner, the record and a cluster speak of the same thing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.protocol_table import Protocol

Subset = Literal["base", "novel", "all"]


@dataclass(frozen=True, order=True)
class Target:
    """Test images a trained learner is scored on: those of `dataset` whose class is in `subset`, classified among
    it."""

    dataset: str
    subset: Subset


@dataclass(frozen=True)
class RunSpec:
    """One training and the targets it is scored on.

    `dataset` and `subset` say what is trained on, `shots` images per class (>= 1); `seed` (>= 0) is None for a method
    that draws nothing. `overrides` are the user's `--set` values for this method, sorted by name.
    """

    suite: str
    protocol: Protocol
    method: str
    dataset: str
    subset: Subset
    shots: int
    seed: int | None
    targets: tuple[Target, ...]
    overrides: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.shots < 1:
            raise UserError(f"shots must be at least 1, got {self.shots}")
        if self.seed is not None and self.seed < 0:
            raise UserError(f"seeds must not be negative, got {self.seed}")

    @property
    def label(self) -> str:
        """The method's name in tables: `coop`, or `coop(n_ctx=16)` when the user changed its configuration."""
        changed = ", ".join(f"{name}={value}" for name, value in self.overrides)
        return f"{self.method}({changed})" if changed else self.method


@dataclass(frozen=True)
class PlannedRun:
    """A RunSpec with all that decides its figures.

    `key` covers everything below; `train_key` only what the trained parameters depend on, so that two protocols
    which train alike share one training. `config` is the method's resolved configuration, `recipe` the resolved
    training recipe, `provenance` the digests (backbone, training split, method source, targets) and versions.
    """

    spec: RunSpec
    key: str
    train_key: str
    config: Mapping[str, Any]
    recipe: Mapping[str, Any]
    provenance: Mapping[str, Any]


@dataclass(frozen=True)
class Score:
    """Right answers on a target, per class in label order; percentages are made from these only when shown.

    `reading` names another way in which the same learner scores the same images; empty: the method's own.
    """

    target: Target
    correct: tuple[int, ...]
    total: tuple[int, ...]
    reading: str = ""


@dataclass(frozen=True)
class Cost:
    """What a run cost. Seconds are wall-clock, training without evaluation; memory is the process's (or device's)
    peak."""

    trainable_parameters: int
    train_seconds: float
    train_images: int
    eval_seconds: float
    eval_images: int
    peak_memory_mib: float


@dataclass(frozen=True)
class RunResult:
    """What a finished run produced.

    `curves` has one mapping per epoch, all with the key "epoch" (from 1) beside the mean of each loss term,
    "train_accuracy" (0..1) where defined, and "lr". `unscored` says for each target that could not be scored why (a
    linear head has no novel classes). `files` are artifacts to keep, by name (e.g. "learned.safetensors").
    """

    scores: tuple[Score, ...]
    cost: Cost
    curves: tuple[Mapping[str, float], ...] = ()
    unscored: Mapping[Target, str] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


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
