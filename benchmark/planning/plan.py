"""From run specs to planned runs: resolves each method's configuration and recipe, and computes the run's keys.

A key is the digest of everything that decides a result. What is not in it must not change a result.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, ValidationError

from promptarena.benchmark.backbone.weight_origins import Weights
from promptarena.benchmark.core.errors import UserError, unknown
from promptarena.benchmark.core.keys import digest, file_digest
from promptarena.benchmark.core.protocol_table import protocol_info
from promptarena.benchmark.core.recipe import Recipe, adapted, in_epochs
from promptarena.benchmark.core.runs import PlannedRun, RunSpec, Target
from promptarena.benchmark.data.data_manager import Data
from promptarena.benchmark.inputs.transforms import TRANSFORM_VERSION
from promptarena.benchmark.planning.few_shot_notes import FEWEST
from promptarena.benchmark.planning.suites import Suite
from promptarena.benchmark.plugins.asking import MethodFailedError, asking, preset_of, reads_of
from promptarena.benchmark.plugins.learner import Config
from promptarena.benchmark.plugins.registry import Registry

TRAINING_VERSION = 3
"""Increased by hand whenever a change of the harness changes what is trained, so that older runs are run again."""
MIXED_PRECISION_VERSION = 2
"""The same for what is trained in bf16 or fp16 only."""
PROTOCOL_VERSION = 1
"""Increased by hand whenever a change of the harness changes how trained learners are scored."""

Model = TypeVar("Model", bound=BaseModel)
RECIPE_PREFIX = "recipe."


def parse_overrides(settings: Iterable[str], methods: Iterable[str]) -> dict[str, dict[str, str]]:
    """Parse the values of `--set`.

    Args:
        settings: Texts of the form `METHOD.NAME=VALUE` or `METHOD.recipe.NAME=VALUE`; of two with the same name the
            last one counts.
        methods: The methods of the comparison.

    Returns:
        The values by method and by name ("NAME" or "recipe.NAME").

    Raises:
        UserError: A text has another form, or its method is not among `methods`.

    >>> parse_overrides(["coop.n_ctx=8"], ["coop"])
    {'coop': {'n_ctx': '8'}}
    """
    known = list(methods)
    overrides: dict[str, dict[str, str]] = {}
    for setting in settings:
        target, equals, value = setting.partition("=")
        method, dot, name = target.strip().partition(".")
        if not (equals and dot and name):
            raise UserError(f"--set {setting!r} is not of the form METHOD.NAME=VALUE, for example coop.n_ctx=8")
        if method not in known:
            raise unknown("method in --set", method, known)
        overrides.setdefault(method, {})[name] = value.strip()
    return overrides


@dataclass(frozen=True)
class Planner:
    """Plans the runs of one suite.

    Args:
        suite: The suite.
        registry: The known methods.
        data: The suite's datasets.
        backbone: The weights and their digest.
        precision: The precision of training and evaluation.
        files: SHA-256 of the files that methods read, by path; `plan` adds to it.
    """

    suite: Suite
    registry: Registry
    data: Data
    backbone: Weights
    precision: str
    files: dict[str, str] = field(default_factory=dict)
    _targets: dict[Target, str] = field(default_factory=dict, init=False)

    def plan(self, spec: RunSpec) -> PlannedRun:
        """Resolve a run.

        Args:
            spec: What to run.

        Returns:
            The run with its configuration, recipe and keys.

        Raises:
            UserError: A setting is wrong, data is missing, or a half of a dataset's classes is a single class.
            MethodFailedError: The method's own code fails.
        """
        # The names of these entries are part of the keys: renaming, adding or removing one makes every recorded run run
        # again. A new entry is therefore added only where it matters, as "reads" is below.
        method = self.registry.get(spec.method)
        card = self.suite.card(spec.dataset)
        drawn, val = self.data.few_shot(card, spec.subset, spec.shots, spec.seed or 0)
        config, recipe = resolve(spec, self.suite, self.registry, len(drawn.labels))
        examples = digest(drawn.images.digest, val.images.digest)
        classes = self.data.classes(card, spec.subset, "train")
        self._require_classes(spec)
        with asking(spec.method, "its configuration"):
            resolved = {"config": config.model_dump(mode="json"), "recipe": recipe.model_dump(mode="json")}
        training_identity = {
            "training_version": TRAINING_VERSION,
            "transform_version": TRANSFORM_VERSION,
            "method": spec.method,
            "method_source": method.source,
            "backbone": self.backbone.digest,
            "precision": self.precision,
            "train_split": examples,
            "classes": classes.names,
            "template": classes.template,
            "seed": spec.seed,
            **resolved,
            **self._mixed_precision,
        }
        read = reads_of(method, config, self.backbone.digest)
        with asking(spec.method, "reads"):
            if read:
                digests = {name: file_digest(path) for name, path in read.items()}
                training_identity["reads"] = digests
                self.files.update({str(path.absolute()): digests[name] for name, path in read.items()})
        with asking(spec.method, "its configuration"):
            train_key = digest(training_identity)
        targets = {f"{target.dataset}/{target.subset}": self._target_digest(target) for target in spec.targets}
        fewest = int(np.bincount(drawn.labels, minlength=len(classes)).min())
        splits = [self.data.split(card, "train")]
        splits += [self.data.split(self.suite.card(target.dataset), "test") for target in spec.targets]
        return PlannedRun(
            spec=spec,
            key=digest(train_key, PROTOCOL_VERSION, spec.protocol, spec.shots, targets),
            train_key=train_key,
            config=resolved["config"],
            recipe=resolved["recipe"],
            provenance={
                "backbone": self.backbone.digest,
                "backbone_origin": self.backbone.origin,
                "precision": self.precision,
                "train_split": examples,
                "method_source": method.source,
                "method_distribution": method.distribution,
                "method_origin": method.origin,
                "training_version": TRAINING_VERSION,
                **self._mixed_precision,
                "protocol_version": PROTOCOL_VERSION,
                "transform_version": TRANSFORM_VERSION,
                "targets": targets,
                "own_splits": sorted({split.dataset for split in splits if split.own_split}),
                **({FEWEST: fewest} if fewest < spec.shots else {}),
            },
        )

    @property
    def _mixed_precision(self) -> dict[str, int]:
        return {} if self.precision == "fp32" else {"mixed_precision_version": MIXED_PRECISION_VERSION}

    def _require_classes(self, spec: RunSpec) -> None:
        """Raise UserError for a half of one class, in which every image would be right."""
        for target in spec.targets:
            card = self.suite.card(target.dataset)
            if len(self.data.classes(card, target.subset, "test")) < 2:
                count = len(self.data.split(card, "test").class_names)
                raise UserError(
                    f"{spec.protocol}: dataset {card.name!r} has {count} classes, so its {target.subset} half is one "
                    "class and every image would be right; leave it out with --datasets or choose another protocol"
                )

    def _target_digest(self, target: Target) -> str:
        if target not in self._targets:  # many runs are scored on it, and a test set may have 50,000 images
            card = self.suite.card(target.dataset)
            classes = self.data.classes(card, target.subset, "test")
            self._targets[target] = digest(
                self.data.test(card).images.digest, target.subset, classes.names, classes.template
            )
        return self._targets[target]


def resolve(spec: RunSpec, suite: Suite, registry: Registry, images: int) -> tuple[Config, Recipe]:
    """A run's configuration and recipe: the method's preset, changed by the suite and then by the user's `--set`.

    Args:
        spec: What to run.
        suite: The suite.
        registry: The known methods.
        images: The number of training images, which decides the steps of an epoch.

    Returns:
        Configuration and recipe.

    Raises:
        UserError: A setting is unknown or has a wrong value.
        MethodFailedError: The method's own code fails, or its training would never leave its warm-up.
    """
    method = registry.get(spec.method)
    protocol = protocol_info(spec.protocol).training
    config, recipe = preset_of(method, suite.task(protocol, spec.dataset, spec.shots))
    with asking(spec.method, "its settings", users=True):
        config, recipe = _overridden(spec, config, adapted(recipe, images, **suite.training.changes(spec.method)))
    requested = recipe.epochs if f"{RECIPE_PREFIX}epochs" in dict(spec.overrides) else None
    recipe = in_epochs(recipe, images, max_epochs=requested)
    if 0 < recipe.epochs <= recipe.warmup_epochs and recipe.lr != recipe.warmup_lr:
        raise MethodFailedError(
            f"{spec.label}: its {recipe.epochs} epochs are all warm-up (warmup_epochs = {recipe.warmup_epochs}), so it "
            f"would never train at its learning rate; give more epochs or set {spec.method}.recipe.warmup_epochs=0"
        )
    return config, recipe


def _overridden(spec: RunSpec, config: Config, recipe: Recipe) -> tuple[Config, Recipe]:
    values = {name: _value(text) for name, text in spec.overrides}
    for_recipe = {
        name.removeprefix(RECIPE_PREFIX): value for name, value in values.items() if name.startswith(RECIPE_PREFIX)
    }
    for_config = {name: value for name, value in values.items() if not name.startswith(RECIPE_PREFIX)}
    return (
        _updated(config, for_config, f"{spec.method}."),
        _updated(recipe, for_recipe, f"{spec.method}.{RECIPE_PREFIX}"),
    )


def _updated(model: Model, changes: Mapping[str, Any], prefix: str) -> Model:
    for name in changes:
        if name not in type(model).model_fields:
            raise unknown(f"setting of {prefix.rstrip(chr(46))}", name, type(model).model_fields)
    if not changes:
        return model
    try:
        return type(model).model_validate(model.model_dump() | dict(changes))
    except ValidationError as error:
        first = error.errors()[0]
        where = str(first["loc"][0]) if first["loc"] else next(iter(changes))
        reason = first["msg"].removeprefix("Value error, ")
        raise UserError(f"--set {prefix}{where}={changes.get(where, '')}: {reason}") from error


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
