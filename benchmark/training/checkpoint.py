"""Where a training stands, as one safetensors file: trainable tensors, optimiser state, and the curves so far.

Written to a temporary file and renamed, so that at any moment there is either the previous epoch's checkpoint or this
one's. Everything random in training is keyed by epoch, so nothing else is needed to go on exactly.
"""

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from promptarena.benchmark.core.errors import UserError


@dataclass(frozen=True)
class Checkpoint:
    """State behind `epoch` epochs (0: the initial parameters).

    learner, optimizer: tensors by name. scaler: of the fp16 loss. curves: one mapping per epoch so far.
    train_seconds: spent up to here.
    """

    train_key: str
    epoch: int
    learner: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]
    scaler: Mapping[str, float]
    curves: tuple[Mapping[str, float], ...]
    train_seconds: float

    def save(self, path: Path) -> None:
        """Write atomically. Raises UserError when the folder cannot be written or the disk is full."""
        tensors = {f"learner/{name}": tensor.detach().cpu().contiguous() for name, tensor in self.learner.items()}
        tensors |= {f"optimizer/{name}": tensor.cpu().contiguous() for name, tensor in self.optimizer.items()}
        state = {
            "epoch": self.epoch,
            "scaler": dict(self.scaler),
            "curves": self.curves,
            "train_seconds": self.train_seconds,
        }
        temporary = path.with_suffix(f".{os.getpid()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_file(tensors, temporary, {"train_key": self.train_key, "state": json.dumps(state)})
            os.replace(temporary, path)
        except (OSError, SafetensorError) as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise UserError(f"cannot write the checkpoint {path}: {error}; free space or choose --results") from error

    @staticmethod
    def load(path: Path, train_key: str) -> "Checkpoint | None":
        """The checkpoint in `path`, or None when there is none.

        Raises UserError when the file is damaged or belongs to another training.
        """
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                metadata: dict[str, str] = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            state: dict[str, Any] = json.loads(metadata["state"])
            epoch, seconds = int(state["epoch"]), float(state["train_seconds"])
            curves, scaler = tuple(state["curves"]), dict(state["scaler"])
        except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
            raise UserError(f"checkpoint {path} is damaged ({error}); delete it to train this run again") from error
        if metadata.get("train_key") != train_key:
            raise UserError(f"checkpoint {path} belongs to another training; delete it to train this run again")

        def part(prefix: str) -> dict[str, Tensor]:
            return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

        return Checkpoint(
            train_key=train_key,
            epoch=epoch,
            learner=part("learner/"),
            optimizer=part("optimizer/"),
            scaler=scaler,
            curves=curves,
            train_seconds=seconds,
        )
