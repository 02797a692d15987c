"""Results on disk that are computed but not recorded yet: results/outbox.

Workers on a shared file system hand their runs in here, and so does a command whose tracking server stays away. The
next command that misses a run takes its result from here. Each file appears under its name when it is complete. A file
holds values and bytes only, and begins with its digest, so that none can run code and a damaged one is noticed.
"""

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict
from safetensors import SafetensorError
from safetensors.numpy import load, save

from promptarena.benchmark.core.files import write_atomically
from promptarena.benchmark.core.runs import Cost, RunResult, Score, Target
from promptarena.benchmark.running.launcher import RunFailedError

STARTED, CURVES, OUTCOME = ".started", ".curves", ".outcome"
DOCUMENT = "document"

log = logging.getLogger(__name__)


class _Failure(BaseModel):
    model_config = ConfigDict(extra="forbid")

    message: str
    details: str
    users_fault: bool


class _Result(BaseModel):
    """A RunResult without its bytes: `files` and `predictions` name them."""

    model_config = ConfigDict(extra="forbid")

    scores: tuple[Score, ...]
    cost: Cost
    curves: tuple[dict[str, float], ...]
    unscored: tuple[tuple[Target, str], ...]
    environment: dict[str, str]
    files: tuple[str, ...]
    predictions: tuple[Target, ...]


class _Outcome(BaseModel):
    model_config = ConfigDict(extra="forbid")

    run_key: str
    result: _Result | None = None
    failure: _Failure | None = None


class Outbox:
    """What runs have handed in, by their keys.

    Args:
        results: The results folder.
    """

    def __init__(self, results: Path) -> None:
        self._folder = results / "outbox"
        self._reported: set[str] = set()

    def files(self) -> frozenset[str]:
        """The names of all files that are there. Reading the folder also makes NFS look again."""
        try:
            return frozenset(os.listdir(self._folder))
        except FileNotFoundError:
            return frozenset()

    def post_start(self, key: str) -> None:
        """Say that a run has started. Raises UserError when the folder cannot be written, as do the others."""
        write_atomically(self._folder / f"{key}{STARTED}", b"")

    def post_curves(self, key: str, curves: list[dict[str, float]]) -> None:
        """Hand in the curves of all epochs so far."""
        write_atomically(self._folder / f"{key}{CURVES}", json.dumps(curves))

    def post_outcome(self, key: str, outcome: RunResult | RunFailedError) -> None:
        """Hand in a run's result or error."""
        content = save(_tensors(key, outcome))
        write_atomically(self._folder / f"{key}{OUTCOME}", f"{sha256(content).hexdigest()}\n".encode() + content)

    def curves(self, key: str) -> list[dict[str, float]]:
        """The curves of the epochs so far; none where their file cannot be read."""
        try:
            rows = json.loads((self._folder / f"{key}{CURVES}").read_bytes())
            return [{str(name): float(value) for name, value in row.items()} for row in rows if "epoch" in row]
        except (OSError, ValueError, TypeError, AttributeError):
            return []

    def outcome(self, key: str) -> RunResult | RunFailedError | None:
        """A run's result or error.

        Args:
            key: The run's key.

        Returns:
            None when there is none. A file that is damaged, or that another version of the package wrote, counts as
            none; a line says so once.
        """
        path = self._folder / f"{key}{OUTCOME}"
        try:
            return _outcome(key, path.read_bytes())
        except OSError:
            return None
        except (ValueError, KeyError, SafetensorError):
            if key not in self._reported:
                self._reported.add(key)
                log.warning("%s is damaged or of another version; its run is run again", path)
            return None

    def remove(self, key: str) -> None:
        """Remove what a run has handed in."""
        for ending in (STARTED, CURVES, OUTCOME):
            (self._folder / f"{key}{ending}").unlink(missing_ok=True)


def _tensors(key: str, outcome: RunResult | RunFailedError) -> dict[str, Any]:
    """The content of a file: a document, and each part of it that is bytes."""
    parts: dict[str, bytes] = {}
    if isinstance(outcome, RunFailedError):
        failure = {"message": str(outcome), "details": outcome.details, "users_fault": outcome.users_fault}
        document: dict[str, Any] = {"run_key": key, "failure": failure}
    else:
        targets = tuple(outcome.predictions)
        result = {
            "scores": [asdict(score) for score in outcome.scores],
            "cost": asdict(outcome.cost),
            "curves": [dict(curve) for curve in outcome.curves],
            "unscored": [(asdict(target), reason) for target, reason in outcome.unscored.items()],
            "environment": dict(outcome.environment),
            "files": list(outcome.files),
            "predictions": [asdict(target) for target in targets],
        }
        document = {"run_key": key, "result": result}
        parts |= {f"files/{name}": content for name, content in outcome.files.items()}
        parts |= {f"predictions/{number}": outcome.predictions[target] for number, target in enumerate(targets)}
    parts[DOCUMENT] = json.dumps(document).encode()
    return {name: np.frombuffer(content, np.uint8) for name, content in parts.items()}


def _outcome(key: str, content: bytes) -> RunResult | RunFailedError:
    """Read what `_tensors` says. Raises ValueError, KeyError or SafetensorError when it is something else."""
    digest, _, rest = content.partition(b"\n")
    if sha256(rest).hexdigest().encode() != digest:
        raise ValueError("it does not have its digest")
    parts: Mapping[str, bytes] = {name: array.tobytes() for name, array in load(rest).items()}
    found = _Outcome.model_validate(json.loads(parts[DOCUMENT]))
    if found.run_key != key:
        raise ValueError("it is of another run")
    if found.failure:
        return RunFailedError(found.failure.message, found.failure.details, users_fault=found.failure.users_fault)
    if not (result := found.result):
        raise ValueError("it holds no outcome")
    return RunResult(
        result.scores,
        result.cost,
        result.curves,
        dict(result.unscored),
        {name: parts[f"files/{name}"] for name in result.files},
        result.environment,
        {target: parts[f"predictions/{number}"] for number, target in enumerate(result.predictions)},
    )
