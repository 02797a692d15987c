"""The file of a trained learner: its tensors and all that is needed to build the learner again."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from promptarena.benchmark.backbone.accelerations import Precision
from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.errors import UserError, first_line
from promptarena.benchmark.core.keys import file_digest
from promptarena.benchmark.plugins.learner import Learner
from promptarena.benchmark.plugins.registry import Registry

LEARNED = "learned.safetensors"
"""The file's name among a run's artifacts."""

ENTRY = "learner"
"""The entry of the file's metadata that holds the `Origin`, as JSON."""


class Origin(BaseModel):
    """How the learner of a file was trained.

    `method` and `config` are the method and its configuration after all overrides, `classes` those it was trained on.
    `backbone` is SHA-256 of the weights, `precision` that of the training, `source` SHA-256 of the method's code.
    `reads` are the SHA-256 of the files that the method reads (see `Learner.reads`), by what they hold.
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
    """The content of the file of a trained learner.

    Args:
        origin: How it was trained.
        tensors: Its parameters and buffers by name, on the CPU.
    """

    origin: Origin
    tensors: Mapping[str, Tensor]

    @classmethod
    def of(cls, learner: Learner, classes: Classes, method: str, source: str) -> Self:
        """Collect what the file holds.

        Args:
            learner: The trained learner.
            classes: The classes it was trained on.
            method: The method's name in the registry.
            source: The digest of the method's code in the registry.

        Returns:
            The content of the file, with copies of tensors that are not on the CPU.
        """
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

    def content(self) -> bytes:
        """The bytes of the file."""
        return save(dict(self.tensors), {ENTRY: self.origin.model_dump_json()})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file.

        Args:
            path: The file.

        Returns:
            Its content, the tensors on the CPU.

        Raises:
            UserError: The file cannot be read or holds no learner.
        """
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
        """Build the learner.

        Args:
            backbone: A backbone with the weights that the learner was trained with.
            registry: The known methods.

        Returns:
            The learner on the backbone's device, in evaluation mode.

        Raises:
            UserError: The method is unknown, its configuration has changed, or backbone or tensors do not fit.
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
        """The differences from the training that do not prevent loading but may change results.

        Args:
            backbone: The backbone that the learner is used with.
            registry: The known methods.

        Returns:
            One line for the user per difference.
        """
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
    """Load the learner in a file.

    Args:
        path: The file.
        backbone: A backbone with the weights that the learner was trained with.
        registry: The known methods.

    Returns:
        The learner on the backbone's device, in evaluation mode, ready to score.

    Raises:
        UserError: The file cannot be read or does not fit.
    """
    return Learned.load(path).learner(backbone, registry)
