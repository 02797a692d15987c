"""What was found out about files of weights, kept by their content: reading it again needs neither torch nor
open_clip, whose imports take seconds."""

import contextlib
import importlib.metadata
import json
from dataclasses import asdict
from pathlib import Path

from promptarena.benchmark.backbone.weight_origins import Weights
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.files import is_missing, write_atomically
from promptarena.benchmark.core.keys import digest, file_digest


def kept_identity(cache: Path, architecture: str | Path, weights: str | Path) -> Weights | None:
    """Digest and origin of weights in a file, if they are known.

    Args:
        cache: The folder in which `keep_identity` keeps them.
        architecture: As `load_backbone` takes it.
        weights: As `load_backbone` takes them.

    Returns:
        SHA-256 of the weights, and where they come from; None if they are not known.

    Raises:
        UserError: A file cannot be read.
    """
    place = _place(cache, architecture, weights)
    try:
        return Weights(**json.loads(place.read_text(encoding="utf-8"))) if place else None
    except (OSError, ValueError, TypeError):
        return None


def keep_identity(cache: Path, architecture: str | Path, weights: str | Path, found: Weights) -> None:
    """Keep digest and origin of weights in a file; nothing is kept of a pretrained tag, or where one cannot write."""
    if place := _place(cache, architecture, weights):
        with contextlib.suppress(UserError):
            write_atomically(place, json.dumps(asdict(found)))


def _place(cache: Path, architecture: str | Path, weights: str | Path) -> Path | None:
    """Named by everything that decides the identity: both files' content, their names, and open_clip's version."""
    if not isinstance(weights, Path) or is_missing(weights):
        return None
    if isinstance(architecture, Path) and is_missing(architecture):
        return None
    described = file_digest(architecture) if isinstance(architecture, Path) else architecture
    version = importlib.metadata.version("open_clip_torch")
    return cache / "weights" / f"{digest(described, file_digest(weights), weights.name, version)}.json"
