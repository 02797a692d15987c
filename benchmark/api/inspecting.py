"""What learned context vectors are close to: words of CLIP's vocabulary."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.training.trained_learner import Learned
from promptarena.learners import learned_file, load_backbone

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]


def nearest_words(
    run: str | Path,
    *,
    top: int = 3,
    suite: str | Path = "mini",
    results: str | Path = "results",
    tracking_uri: str | None = None,
) -> "pd.DataFrame":
    """Find the words whose embeddings are closest to the learned context vectors of a text-side method.

    Only vectors that take the place of words, before the first block of the text tower, lie in the space of the words.
    Every learned tensor whose vectors have the width of that space is shown, by its name in the method's code: for
    prompts of deeper blocks, words mean nothing.

    Args:
        run: As in `load_learner`.
        top: How many words to give for each vector.
        suite: The suite that the learner was trained in, whose backbone it needs.
        results: The folder of the record.
        tracking_uri: The address of another MLflow store.

    Returns:
        One row per vector and rank: tensor (its name), vector (from 0), rank (from 1), word, distance (Euclidean, in
        the space of token embeddings), length (the vector's own length).

    Raises:
        UserError: There is no such run or file, its backbone is another one, or it has learned no such vectors.
    """
    import pandas as pd
    from open_clip.tokenizer import SimpleTokenizer

    with tempfile.TemporaryDirectory() as folder:
        learned = Learned.load(learned_file(run, results, tracking_uri, folder))
    backbone = load_backbone(suite, device="cpu")
    if backbone.digest != learned.origin.backbone:
        raise UserError(
            f"{learned.origin.method} was trained on other weights ({learned.origin.backbone[:12]}) than those of "
            f"backbone {backbone.name} ({backbone.digest[:12]}); give the suite that it was trained in"
        )
    embeddings = np.asarray(backbone.model.token_embedding.weight.detach().numpy(), dtype=np.float64)
    tensors = {name: np.asarray(tensor.float().numpy(), dtype=np.float64) for name, tensor in learned.tensors.items()}
    vectors = _vectors(tensors, embeddings.shape[1])
    if not vectors:
        raise UserError(f"{learned.origin.method} has learned no vectors of the width of a word's embedding")
    tokenizer = SimpleTokenizer()
    special = [tokenizer.sot_token_id, tokenizer.eot_token_id]  # start and end of a text are no words
    rows = []
    for name, found in vectors.items():
        for place, vector in enumerate(found):
            distances = np.sqrt(np.square(embeddings - vector).sum(axis=1))
            distances[special] = np.inf
            for rank, token in enumerate(np.argsort(distances, kind="stable")[:top].tolist(), 1):
                word = tokenizer.decode([token]).strip()
                rows.append((name, place, rank, word, float(distances[token]), float(np.linalg.norm(vector))))
    return pd.DataFrame(rows, columns=["tensor", "vector", "rank", "word", "distance", "length"])


def _vectors(tensors: Mapping[str, Floats], width: int) -> dict[str, Floats]:
    """The tensors that hold vectors of this width, as (N, width)."""
    return {
        name: tensor.reshape(-1, width)
        for name, tensor in tensors.items()
        if tensor.ndim in (2, 3) and tensor.shape[-1] == width
    }
