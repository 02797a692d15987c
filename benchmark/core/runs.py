"""The values that travel through the harness: what to run (RunSpec), the run with all settings (PlannedRun), and its
outcome (RunResult).

All are frozen and made of plain types, so that the planner, the runner, the record and a cluster can exchange them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.labels import Label, Overrides
from promptarena.benchmark.core.protocol_table import Protocol

Subset = Literal[
    "base",
    "novel",
    "all",
    "union",
    "union-base",
    "union-novel",
    "union-auroc",
    "union-openworld-auc",
    "base-tempered",
    "novel-tempered",
    "all-tempered",
    "union-tempered",
    "far",
]
"""Which classes count. "base", "novel" and "all" are scored among themselves. "union" are all classes, scored by a
learner of the base classes; the scores of the subsets after it follow from that: of the base images, of the novel
images, and of the pairs of a base and a novel image (see `core/open_world.py`). The last ones name predictions that are
kept on request and have no scores: those of a subset with a temperature fitted on the training images, and those for
images of other datasets among the classes of the training."""

_TEMPERED: "dict[Subset, Subset]" = {
    "base": "base-tempered",
    "novel": "novel-tempered",
    "all": "all-tempered",
    "union": "union-tempered",
}


@dataclass(frozen=True, order=True)
class Target:
    """The test images of `dataset` whose class is in `subset`; the candidate classes are those of the subset."""

    dataset: str
    subset: Subset

    @property
    def parts(self) -> "tuple[Target, ...]":
        """The targets that have scores once this one is scored."""
        if self.subset != "union":
            return (self,)
        others: tuple[Subset, ...] = ("union-base", "union-novel", "union-auroc", "union-openworld-auc")
        return (self, *(Target(self.dataset, subset) for subset in others))

    @property
    def tempered(self) -> "Target":
        """What the predictions with a fitted temperature are kept as; of a target whose images are scored."""
        return Target(self.dataset, _TEMPERED[self.subset])

    @property
    def scored_as(self) -> "Target | None":
        """The target whose scores the predictions for this one count; None if nothing is right or wrong there."""
        if self.subset == "far":
            return None
        return next((Target(self.dataset, of) for of, kept in _TEMPERED.items() if kept == self.subset), self)


@dataclass(frozen=True)
class RunSpec:
    """One training and the targets it is scored on.

    Args:
        suite: The name of the suite.
        protocol: The name of the protocol.
        method: The name of the method.
        dataset: The dataset that is trained on.
        subset: The classes that are trained on.
        shots: Training images per class, at least 1.
        seed: At least 0; None for a method that draws nothing at random.
        targets: The test images that are scored.
        overrides: The user's `--set` values for this method as (name, value), sorted by name.

    Raises:
        UserError: `shots` or `seed` is too small or has more than 63 bits.
    """

    suite: str
    protocol: Protocol
    method: str
    dataset: str
    subset: Subset
    shots: int
    seed: int | None
    targets: tuple[Target, ...]
    overrides: Overrides = ()

    def __post_init__(self) -> None:
        if self.shots < 1:
            raise UserError(f"shots must be at least 1, got {self.shots}")
        if self.seed is not None and self.seed < 0:
            raise UserError(f"seeds must not be negative, got {self.seed}")
        if max(self.shots, self.seed or 0) >= 2**63:
            raise UserError("shots and seeds must have at most 63 bits")

    @property
    def name(self) -> Label:
        """What tables name the run by: its method, and what the user changed of it."""
        return Label(self.method, self.overrides)

    @property
    def label(self) -> str:
        """The printed name: `coop`, or `coop(n_ctx=16)` when the user changed its configuration."""
        return str(self.name)


@dataclass(frozen=True)
class PlannedRun:
    """A RunSpec with everything that decides its numbers.

    Args:
        spec: What to run.
        key: SHA-256 of everything that decides the scores; runs with equal keys give equal scores.
        train_key: SHA-256 of what decides the trained parameters only, so that two protocols with the same training
            share it.
        config: The method's configuration after all overrides.
        recipe: The training recipe after all overrides.
        provenance: The digests of backbone, training split, method source and targets, and the versions.
    """

    spec: RunSpec
    key: str
    train_key: str
    config: Mapping[str, Any]
    recipe: Mapping[str, Any]
    provenance: Mapping[str, Any]


@dataclass(frozen=True)
class Score:
    """Correct predictions on a target. Percentages are computed from these counts only when they are displayed.

    Args:
        target: The test images.
        correct: Correct predictions of each class, in label order; of pairs their half points, a single number.
        total: Test images of each class, in label order; of pairs the most half points, a single number.
        reading: The name of another way in which the same learner scores the same images; empty for the method's own.
    """

    target: Target
    correct: tuple[int, ...]
    total: tuple[int, ...]
    reading: str = ""


@dataclass(frozen=True)
class Cost:
    """What a run cost.

    Args:
        trainable_parameters: Number of trained values.
        train_seconds: Wall-clock time of the training, without evaluation.
        train_images: Images processed in training.
        eval_seconds: Wall-clock time of the evaluation.
        eval_images: Images scored.
        peak_memory_mib: Peak memory of the GPU, or of the process on the CPU, in MiB.
    """

    trainable_parameters: int
    train_seconds: float
    train_images: int
    eval_seconds: float
    eval_images: int
    peak_memory_mib: float


@dataclass(frozen=True)
class RunResult:
    """What a finished run produced.

    Args:
        scores: Scores of each target, one for each of the method's readings.
        cost: Time, images and memory.
        curves: One mapping per epoch, with "epoch" (from 1), "lr", the mean of each loss term, and "train_accuracy"
            (0 .. 1) where it is defined.
        unscored: The reason for each target that could not be scored, e.g. a linear head has no novel classes.
        files: The content of artifacts to keep, by name, e.g. "learned.safetensors".
        environment: Versions of the machine and its software, by name.
        predictions: What was predicted for the images of each target, as `to_parquet` writes it; none where it was not
            kept. Bytes, so that they travel from any worker.
    """

    scores: tuple[Score, ...]
    cost: Cost
    curves: tuple[Mapping[str, float], ...] = ()
    unscored: Mapping[Target, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    predictions: Mapping[Target, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class StoredScore:
    """Correct predictions among all test images of a target, in one of the method's readings (empty: its own)."""

    target: Target
    correct: int
    total: int
    reading: str = ""


@dataclass(frozen=True)
class StoredResult:
    """A finished run as the record holds it.

    `overrides` are as in `RunSpec`. `finished_at` is in UTC. `unscored` gives the reason why a target has no score.
    `own_splits` names the datasets whose split was made by promptarena, not by the dataset's authors. `settings` are
    configuration, recipe and provenance by dotted name, long values cut. `imported_from` is the id that an imported
    run has in the record it was exported from, else empty. `files` are the SHA-256 of the files that the run left, by
    name; runs recorded before the record kept them have none. `predictions` are the SHA-256 of the
    kept predictions by target.
    """

    run_id: str
    run_key: str
    suite: str
    protocol: str
    method: str
    dataset: str
    shots: int
    seed: int | None
    backbone: str
    miniature: bool
    scores: tuple[StoredScore, ...]
    cost: Cost
    finished_at: datetime
    overrides: Overrides = ()
    duplicates: int = 0
    unscored: Mapping[Target, str] = field(default_factory=dict)
    own_splits: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    imported_from: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    predictions: Mapping[Target, str] = field(default_factory=dict)

    @property
    def name(self) -> Label:
        """What tables name the run by: its method, and what the user changed of it."""
        return Label(self.method, self.overrides)

    @property
    def label(self) -> str:
        """The printed name."""
        return str(self.name)
