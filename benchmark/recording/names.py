"""What each recorded value is called in MLflow, how it is written and how it is read back: each is spelled here only.

Runs recorded before are read by these names, so a name never changes. Nothing here imports MLflow.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Generic, TypeVar, cast, get_args, get_type_hints

from promptarena.benchmark.core.labels import Overrides
from promptarena.benchmark.core.runs import Cost, Subset, Target

Value = TypeVar("Value")


@dataclass(frozen=True)
class Tag(Generic[Value]):
    """A tag of an MLflow run.

    `text` makes the text that is stored and `value` reads it. A tag with a `default` (a text) is not written for that
    value, and reads as that value where it is missing.
    """

    name: str
    text: Callable[[Value], str]
    value: Callable[[str], Value]
    default: str | None = None

    def of(self, value: Value) -> dict[str, str]:
        """The tag with this value, as MLflow takes tags.

        Returns:
            {name: text}; empty when the value is the default.
        """
        text = self.text(value)
        return {} if text == self.default else {self.name: text}

    def read(self, tags: Mapping[str, str]) -> Value:
        """The value among a run's tags.

        Raises:
            KeyError: The tag is missing and has no default.
            ValueError: Its text is no such value.
        """
        return self.value(tags[self.name] if self.default is None else tags.get(self.name, self.default))


@dataclass(frozen=True)
class PerTarget:
    """A tag or metric that a run has once for each target: prefix/dataset/subset, then /reading where there is one."""

    prefix: str

    def of(self, target: Target, reading: str = "") -> str:
        """The name for this target, in one of the method's readings (empty: its own)."""
        return "/".join(filter(None, (self.prefix, target.dataset, target.subset, reading)))

    def among(self, recorded: Mapping[str, object]) -> dict[str, tuple[Target, str]]:
        """The target and the reading of each such name, in the order of `recorded`.

        Raises:
            ValueError: A name holds no target.
        """
        return {name: _target(name) for name in recorded if name.startswith(f"{self.prefix}/")}


def _text(name: str, default: str | None = None) -> Tag[str]:
    return Tag(name, str, str, default)


LEVEL = _text("level")
"""What an MLflow run stands for: a comparison, a method in it, a run, or a document beside them."""
PARENT = _text("mlflow.parentRunId")
"""MLflow's tag for the run that a run hangs under."""

# Of a run, from its plan.
RUN_KEY = _text("run_key")
TRAIN_KEY = _text("train_key")
COMPARISON = _text("comparison")
SUITE = _text("suite")
PROTOCOL = _text("protocol")
METHOD = _text("method")
LABEL = _text("label")
OVERRIDES: Tag[Overrides] = Tag("overrides", json.dumps, lambda text: overrides_of(json.loads(text)), "[]")
"""Runs recorded before have no such tag, and runs whose tag would be too long; their plan has the overrides."""
DATASET = _text("dataset")
SUBSET = _text("subset")
SHOTS = Tag("shots", str, int)
SEED: Tag[int | None] = Tag(
    "seed", lambda seed: "none" if seed is None else str(seed), lambda text: None if text == "none" else int(text)
)
BACKBONE = _text("backbone")
MINIATURE: Tag[bool] = Tag("miniature", lambda yes: "true" if yes else "false", lambda text: text == "true")
OWN_SPLITS: Tag[tuple[str, ...]] = Tag("own_splits", " ".join, lambda text: tuple(text.split()), "")

# Of a run, as it goes.
OWNER_HOST = _text("owner.host")
OWNER_MACHINE = _text("owner.machine", "")
"""Digest of what tells machines of one name apart; runs recorded before have no such tag."""
OWNER_PID = Tag("owner.pid", str, int)
OWNER_STARTED = Tag("owner.started", str, float)
OWNER_HEARTBEAT = Tag("owner.heartbeat", str, float)
ERROR = _text("error", "")
IMPORTED_FROM = _text("imported_from", "")
IMPORTED_DUPLICATES = Tag("imported_duplicates", str, int, "0")
UNSCORED = PerTarget("unscored")
FILES: Tag[Mapping[str, str]] = Tag("file_digests", json.dumps, json.loads, "{}")
"""SHA-256 of the files that a run left, by name; runs recorded before have no such tag."""
PREDICTIONS = PerTarget("predictions")
"""SHA-256 of the file of predictions for a target."""

# Of a comparison, and of documents.
COMPARISON_KEY = _text("comparison_key")
DESCRIPTION = _text("mlflow.note.content")
TABLES_KEY = _text("tables_key", "")
DATASETS = Tag[tuple[str, ...]]("datasets", " ".join, lambda text: tuple(text.split()), "")
"""Of a comparison's method: the datasets of the comparison. Methods recorded before have no such tag."""
DOCUMENT_KEY = _text("document_key")

# Metrics of a run.
CORRECT = PerTarget("correct")
TOTAL = PerTarget("total")
CURVES = "curves/"
COST = "cost/"

# Artifacts of a run.
PLAN_FILE = "config.json"
SCORES_FILE = "scores.json"
LEARNED_FILE = "learned.safetensors"
ENVIRONMENT_FILE = "environment.json"
TRACEBACK_FILE = "traceback.txt"


def overrides_of(pairs: Iterable[Iterable[str]]) -> Overrides:
    """The overrides in a JSON document. Raises ValueError when they are not such."""
    return tuple((name, value) for name, value in pairs)


def cost_metrics(cost: Cost) -> dict[str, float]:
    """The metrics that hold a cost, one for each field."""
    return {f"{COST}{item.name}": float(getattr(cost, item.name)) for item in fields(Cost)}


def cost_of(metrics: Mapping[str, float]) -> Cost:
    """The cost among a run's metrics. A field of `Cost` with a default takes it where the metric is missing.

    Raises:
        KeyError: The metric of a field without a default is missing.
        ValueError: A count is not a whole number.
    """
    types = get_type_hints(Cost)
    values: dict[str, Any] = {}
    for item in fields(Cost):
        name = f"{COST}{item.name}"
        if item.default is MISSING or name in metrics:
            values[item.name] = whole(metrics, name) if types[item.name] is int else metrics[name]
    return Cost(**values)


def whole(metrics: Mapping[str, float], name: str) -> int:
    """The metric `name`, a count.

    Raises:
        KeyError: It is missing.
        ValueError: It is not a whole number.
    """
    value = metrics[name]
    if not math.isfinite(value) or value != int(value):
        raise ValueError(f"{name} = {value}")
    return int(value)


def _target(name: str) -> tuple[Target, str]:
    _, dataset, subset, *reading = name.split("/")
    if subset not in get_args(Subset):
        raise ValueError(name)
    return Target(dataset, cast(Subset, subset)), "/".join(reading)
