"""Content keys and keyed randomness.

A random draw here is a pure function of what it is for, never of what was drawn before: `generator(seed, "batches",
epoch)` gives the same stream whatever ran earlier, in whichever process, after whichever interruption.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from promptarena.benchmark.core.errors import UserError


def digest(*parts: Any) -> str:
    """SHA-256 (64 hex digits) of the parts as canonical JSON; raises TypeError for what JSON cannot hold."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 (64 hex digits) of a file's bytes. Raises UserError when it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error


def generator(*purpose: Any) -> np.random.Generator:
    """A NumPy PCG64 generator seeded by its purpose: any JSON-serialisable parts, e.g. (seed, "augment", image,
    epoch)."""
    return np.random.Generator(np.random.PCG64(int(digest(*purpose)[:32], 16)))
