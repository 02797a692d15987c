"""What a run keeps of a trained learner: one safetensors file with its tensors and all that is needed to build it
anew."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from promptarena.benchmark.backbone.clip import Backbone, Precision
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.errors import UserError, first_line
from promptarena.benchmark.core.keys import file_digest
from promptarena.benchmark.plugins.learner import Learner
from promptarena.benchmark.plugins.registry import Registry

LEARNED = "learned.safetensors"
"""The file's name among a run's artifacts."""

ENTRY = "learner"


class Origin(BaseModel):
    """What a learner's tensors belong to.

    method, config: which learner, and its resolved configuration. classes: what it was trained on. backbone: SHA-256 of
    the weights. precision: of the training. source: SHA-256 of the method's files. reads: SHA-256 of the files that
    the configuration names, by what they are.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    config: Mapping[str, Any]
    classes: Classes
    backbone: str
    precision: Precision
    source: str
    reads: Mapping[str, str]


@dataclass(frozen=True)
class Learned:
    """A trained learner as a file holds it: where it comes from, and its tensors (parameters and buffers) by name."""

    origin: Origin
    tensors: Mapping[str, Tensor]

    @classmethod
    def of(cls, learner: Learner, classes: Classes, method: str, source: str) -> Self:
        """What is kept of a learner trained on these classes. method, source: as the registry knows it."""
        backbone, config = learner.backbone, learner.config
        reads = learner.reads(config, backbone.digest)
        origin = Origin(
            method=method,
            config=config.model_dump(mode="json"),
            classes=classes,
            backbone=backbone.digest,
            precision=backbone.precision,
            source=source,
            reads={name: file_digest(path) for name, path in reads.items()},
        )
        return cls(origin, {name: tensor.detach().cpu().contiguous() for name, tensor in learner.state_dict().items()})

    def save(self, path: Path) -> None:
        """Write the file. Raises OSError or SafetensorError when it cannot be written."""
        save_file(dict(self.tensors), path, {ENTRY: self.origin.model_dump_json()})

    @classmethod
    def load(cls, path: Path) -> Self:
        """The content of a file. Raises UserError when it cannot be read or holds no learner."""
        try:
            with safe_open(path, framework="pt") as file:
                metadata: dict[str, str] = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise UserError(f"cannot read a learner from {path}: {first_line(error)}") from error
        if ENTRY not in metadata:
            raise UserError(f"{path} does not say how its learner is built; it needs a run of this promptarena")
        try:
            return cls(Origin.model_validate_json(metadata[ENTRY]), tensors)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or ENTRY
            raise UserError(f"{path} does not say how its learner is built ({where}: {first['msg']})") from error

    def learner(self, backbone: Backbone, registry: Registry) -> Learner:
        """The learner on the backbone's device, in evaluation mode.

        Raises UserError when its method is unknown or refuses the configuration, or when backbone or tensors do not
        fit.
        """
        origin = self.origin
        if origin.backbone != backbone.digest:
            raise UserError(
                f"{origin.method} was trained on other weights ({origin.backbone[:12]}) than those of backbone "
                f"{backbone.name} ({backbone.digest[:12]}); give the suite that it was trained in"
            )
        kind = registry.get(origin.method).learner
        try:
            config = kind.config_type.model_validate(dict(origin.config))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, (origin.method, *first["loc"])))
            raise UserError(f"the learned {where} cannot be used: {first['msg']}; train it again") from error
        learner = kind(backbone, config, origin.classes, torch.Generator().manual_seed(0))
        try:
            learner.load_state_dict(dict(self.tensors))
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise UserError(f"the learned tensors do not fit {origin.method} as it is now: {reason}") from error
        return learner.to(backbone.device).eval()

    def changes(self, backbone: Backbone, registry: Registry) -> tuple[str, ...]:
        """What differs from the training without keeping the learner from being loaded, one line each."""
        origin, method = self.origin, registry.get(self.origin.method)
        lines = []
        if origin.source != method.source:
            lines.append(f"{origin.method} has been changed since this learner was trained; its results may differ")
        if origin.precision != backbone.precision:
            lines.append(f"trained in {origin.precision}, used in {backbone.precision}; its results may differ")
        config = method.learner.config_type.model_validate(dict(origin.config))
        for name, path in method.learner.reads(config, backbone.digest).items():
            if origin.reads.get(name) != file_digest(path):
                lines.append(f"{path} ({name}) is not what this learner was trained with; its results may differ")
        return tuple(lines)


def load_learned(path: Path, backbone: Backbone, registry: Registry) -> Learner:
    """The learner in a file, ready to score. Raises UserError when it cannot be read or does not fit."""
    return Learned.load(path).learner(backbone, registry)
