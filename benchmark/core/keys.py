"""Content keys and keyed randomness.

A random draw depends only on its purpose, never on earlier draws: `generator(seed, "batches", epoch)` gives the same
stream whatever ran before it, in any process, and after any interruption.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.files import require_regular


def digest(*parts: Any) -> str:
    """SHA-256 of the parts, written as canonical JSON.

    Args:
        parts: Values that JSON can hold; tuples count as lists.

    Returns:
        64 hexadecimal digits.

    Raises:
        TypeError: JSON cannot hold a part.
        ValueError: A number is NaN or infinite.

    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    """
    # These settings decide every key of every recorded run: with other separators or unsorted keys, all would change.
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 (64 hex digits) of a file's bytes. Raises UserError when it is no regular file or cannot be read."""
    require_regular(path)
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error


def generator(*purpose: Any) -> np.random.Generator:
    """A random generator for one purpose.

    Args:
        purpose: Values that JSON can hold and that say what is drawn, e.g. (seed, "augment", image, epoch).

    Returns:
        A NumPy PCG64 generator. Equal purposes give equal streams.
    """
    # 32 hexadecimal digits are 128 bits, the entropy that PCG64 takes. PCG64 is named because a later NumPy may give
    # `default_rng` another algorithm, and then every draw would change.
    return np.random.Generator(np.random.PCG64(int(digest(*purpose)[:32], 16)))
