"""Edits of a token sequence: where prompts go, and what stays as it is."""

import pytest
import tiny
import torch

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.plugins.edits import (
    append,
    check_depth,
    context_words,
    drawn_context,
    drawn_linear,
    encode_images_with,
    insert,
    overwrite,
    word_context,
)

X = torch.arange(2 * 6 * 3, dtype=torch.float32).reshape(2, 6, 3)
PROMPT = -torch.ones(2, 3)


@pytest.mark.parametrize("at", [0, 1, 4, -1, -2])
def test_overwriting_keeps_the_length_and_all_other_tokens(at: int) -> None:
    prompt = PROMPT[:1] if at == -1 else PROMPT
    found, first = overwrite(prompt, at)(X), at % 6
    assert found.shape == X.shape
    assert (found[:, first : first + len(prompt)] == -1).all()
    kept = [row for row in range(6) if not first <= row < first + len(prompt)]
    assert torch.equal(found[:, kept], X[:, kept])


@pytest.mark.parametrize("at", [0, 1, 6])
def test_inserting_moves_the_others_apart(at: int) -> None:
    found = insert(PROMPT, at)(X)
    assert torch.equal(torch.cat([found[:, :at], found[:, at + 2 :]], dim=1), X)
    assert (found[:, at : at + 2] == -1).all()
    assert torch.equal(append(PROMPT)(X), insert(PROMPT, 6)(X))


def test_a_prompt_per_sequence_goes_to_its_sequence_in_the_sequences_precision() -> None:
    prompts = torch.stack([PROMPT, 2 * PROMPT])
    found = append(prompts)(X.to(torch.bfloat16))
    assert found.dtype is torch.bfloat16
    assert torch.equal(found[:, 6:].float(), prompts)


def test_drawn_values_come_from_the_generator_alone() -> None:
    torch.manual_seed(1)
    draws = [
        (drawn_context(4, 3, generator), drawn_linear(4, 5, generator).weight)
        for generator in (torch.Generator().manual_seed(7) for _ in range(2))
    ]
    assert torch.equal(draws[0][0], draws[1][0])
    assert torch.equal(draws[0][1], draws[1][1])
    assert drawn_linear(4, 5, torch.Generator().manual_seed(7), bias=False).bias is None
    assert draws[0][1].abs().max() <= 0.5


def test_a_phrase_gives_the_embeddings_after_the_start_token() -> None:
    backbone = tiny.backbone()
    context = word_context(backbone, "a_photo of", 2)
    whole = backbone.embed(backbone.tokenize(["a_photo of"])).embeddings
    assert torch.equal(context, whole[0, 1:3])
    assert context_words("a_photo of") == ["a", "photo", "of"]


def test_without_prompts_images_are_the_frozen_ones_and_too_many_layers_are_refused() -> None:
    features = torch.ones(2, 5)
    assert encode_images_with(tiny.backbone(), tiny.Given(features), []) is features
    check_depth("depth", 3, 3)
    with pytest.raises(UserError, match="depth 4 exceeds the backbone's 3 layers"):
        check_depth("depth", 4, 3)
