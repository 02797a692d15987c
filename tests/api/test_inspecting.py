"""Learned vectors are shown with the words that are closest to them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from e2e_inside import call
from open_clip.tokenizer import SimpleTokenizer
from scipy.spatial.distance import cdist

import promptarena as pa
from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.plugins.registry import load_registry
from promptarena.benchmark.training.trained_learner import Learned
from promptarena.inspecting import nearest_words


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return pa.load_backbone("mini", device="cpu")


def written(path: Path, backbone: Backbone, context: torch.Tensor) -> Path:
    """A file of a CoOp learner with this context, (M, W)."""
    method = load_registry([]).get("coop")
    classes = Classes(("cat", "dog"), "a photo of a {}.", "pets")
    config = method.learner.config_type(n_ctx=len(context), ctx_init="")
    learner = method.learner(backbone, config, classes, torch.Generator().manual_seed(0))
    learned = Learned.of(learner, classes, "coop", method.source)
    path.write_bytes(Learned(learned.origin, {**learned.tensors, "context": context}).content())
    return path


def embedding(backbone: Backbone) -> torch.Tensor:
    return backbone.model.token_embedding.weight.detach()


def test_the_embeddings_of_words_are_those_words(backbone: Backbone, tmp_path: Path) -> None:
    words = ["photo", "zebra", "of"]
    ids = [SimpleTokenizer().encode(word)[0] for word in words]
    found = nearest_words(written(tmp_path / "learned.safetensors", backbone, embedding(backbone)[ids]), top=1)
    assert found["word"].tolist() == words
    assert found["distance"].tolist() == [0.0] * 3
    assert found["vector"].tolist() == [0, 1, 2]


def test_distances_are_those_of_another_computation(backbone: Backbone, tmp_path: Path) -> None:
    context = torch.randn(4, embedding(backbone).shape[1], generator=torch.Generator().manual_seed(3)) * 0.02
    found = nearest_words(written(tmp_path / "learned.safetensors", backbone, context), top=5)
    tokenizer = SimpleTokenizer()
    distances = cdist(context.double().numpy(), embedding(backbone).double().numpy())
    distances[:, [tokenizer.sot_token_id, tokenizer.eot_token_id]] = np.inf
    order = distances.argsort(axis=1)[:, :5]
    assert np.allclose(found["distance"].to_numpy().reshape(4, 5), np.sort(distances, axis=1)[:, :5], rtol=1e-9, atol=0)
    assert found["word"].tolist() == [tokenizer.decode([token]).strip() for row in order.tolist() for token in row]
    assert np.allclose(found["length"].to_numpy()[::5], np.linalg.norm(context.double().numpy(), axis=1), rtol=1e-9)


def test_the_start_and_the_end_of_a_text_are_no_words(backbone: Backbone, tmp_path: Path) -> None:
    tokenizer = SimpleTokenizer()
    special = embedding(backbone)[[tokenizer.sot_token_id, tokenizer.eot_token_id]]
    found = nearest_words(written(tmp_path / "learned.safetensors", backbone, special), top=1)
    assert not set(found["word"]) & {"<start_of_text>", "<end_of_text>"}
    assert (found["distance"] > 0).all()


def test_the_command_and_what_it_refuses(
    backbone: Backbone, tmp_path: Path, results: pa.Results, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "learned.safetensors", backbone, embedding(backbone)[[320]])
    word = SimpleTokenizer().decode([320]).strip()
    ended = call("methods", "inspect", path, "--top", "1")
    assert (ended.code, ended.err) == (0, "")
    assert f"{word} (0.000)" in ended.out
    learned = Learned.load(path)
    path.write_bytes(Learned(learned.origin.model_copy(update={"backbone": "0" * 64}), learned.tensors).content())
    zeroshot = results.frame.query("method == 'zeroshot'")["run_id"].iloc[0]
    for given, reason in ((path, "was trained on other weights"), (zeroshot, "zeroshot has learned no vectors")):
        ended = call("methods", "inspect", given, "--results", folder / "results")
        assert ended.code == 2
        assert reason in ended.err
        assert len(ended.err.splitlines()) == 1
