"""The state of a training as one safetensors file: trainable tensors, optimiser state, and the curves so far.

The file is written under a temporary name, synced and renamed, so that at any moment either the previous epoch's
checkpoint or the new one exists. It carries a digest of its content, so that a damaged one is noticed. All randomness
of training is keyed by the epoch, so no state of a random generator is needed to resume exactly.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.files import sync


@dataclass(frozen=True)
class GraphUse:
    """How far a training's steps were replayed from a record (see `step_graphs`).

    Args:
        replayed: The number of steps.
        refused: Why steps could not be recorded, in one line; empty where they could, or were not meant to be.
    """

    replayed: int = 0
    refused: str = ""


NOT_RECORDED = GraphUse()
"""No step was recorded."""


@dataclass(frozen=True)
class Checkpoint:
    """The state after an epoch.

    Args:
        train_key: The key of the training it belongs to.
        epoch: Epochs that are finished; 0 means after `fit`.
        learner: The learner's tensors by name.
        optimizer: The optimiser's tensors by "number of the parameter.name".
        scaler: The state of the fp16 loss scaler; empty at another precision.
        curves: One mapping per finished epoch.
        train_seconds: Wall-clock seconds of training so far.
        steps: Optimiser steps since the training began or was resumed; not part of the file.
        graphs: Of these steps, how many were replayed from a record, and why others were not; not part of the file.
    """

    train_key: str
    epoch: int
    learner: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]
    scaler: Mapping[str, float]
    curves: tuple[Mapping[str, float], ...]
    train_seconds: float
    steps: int = 0
    graphs: GraphUse = NOT_RECORDED

    def save(self, path: Path) -> None:
        """Write the checkpoint; an earlier one stays until the new one is complete.

        Args:
            path: The file; missing folders are created.

        Raises:
            UserError: The folder cannot be written or the disk is full.
        """
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
            metadata = {"train_key": self.train_key, "state": json.dumps(state)}
            save_file(tensors, temporary, metadata | {"digest": _digest(tensors, metadata)})
            sync(temporary)
            os.replace(temporary, path)
        except (OSError, SafetensorError) as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise UserError(f"cannot write the checkpoint {path}: {error}; free space or choose --results") from error

    @staticmethod
    def load(path: Path, train_key: str) -> "Checkpoint | None":
        """Read a checkpoint.

        Args:
            path: The file.
            train_key: The key of the training that is to be resumed.

        Returns:
            The checkpoint, its tensors on the CPU; None when the file does not exist.

        Raises:
            UserError: The file is damaged or belongs to another training.
        """
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                metadata: dict[str, str] = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if metadata.pop("digest") != _digest(tensors, metadata):
                raise ValueError("its content does not have its digest")
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


def _digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """SHA-256 of all that a checkpoint holds, the tensors on the CPU."""
    sha = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        sha.update(json.dumps([name, str(tensor.dtype), tensor.shape]).encode())
        sha.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return sha.hexdigest()
