"""ATPrompt: learned vectors before attribute words, over CoOp and MaPLe."""

from typing import Any

import pytest
import tiny
import torch
from atprompts import BACKBONE, CLASSES, anchored, maple
from torch import Tensor

from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.inputs.views import PixelBatch
from promptarena.methods.atprompt import WORDS, ATPromptConfig, ATPromptCoOp
from promptarena.methods.atprompt_maple import ATPromptMaPLe
from promptarena.methods.coop import CoOp, CoOpConfig

LABELS = torch.tensor([0, 1, 2, 1])


def coop(**config: Any) -> ATPromptCoOp:
    return ATPromptCoOp(BACKBONE, ATPromptConfig(**config), CLASSES, torch.Generator().manual_seed(0))


def embedded(text: str) -> Tensor:
    return BACKBONE.embed(BACKBONE.tokenize([text])).embeddings[0]


def test_without_attributes_it_is_the_prompt_of_coop() -> None:
    learner = coop(attributes=(), n_ctx=4)
    plain = CoOp(BACKBONE, CoOpConfig(ctx_init="", n_ctx=4), CLASSES, torch.Generator())
    plain.context.data.copy_(learner.context)
    found, expected = (one.text_features(one.prompts(CLASSES)) for one in (learner, plain))
    assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("words", [("color",), ("color", "shape"), ("pattern", "color", "design")])
@pytest.mark.parametrize("n", [1, 3])
def test_the_order_of_vectors_words_and_name(words: tuple[str, ...], n: int) -> None:
    learner = coop(attributes=words, n_ctx=n)
    parts = [embedded("x")[:1]]
    for anchor, word in zip(learner.anchors, words, strict=True):
        parts += [anchor, embedded(word)[1:2]]
    parts += [learner.context, embedded("red fox.")[1:5]]
    row = torch.cat(parts).detach()
    assert torch.equal(anchored(learner)[0, : len(row)], row)
    prompts = learner.prompts(CLASSES)
    plain = BACKBONE.embed(BACKBONE.tokenize(CLASSES.filled("X " * n + "{}.")))
    assert torch.equal(prompts.eot, plain.eot + len(words) * (n + 1))


def test_a_word_of_two_tokens_counts_as_one_as_released() -> None:
    """oxford_pets: "playfulness" is "play" and "fulness", so "energy" is never seen and an "X" remains twice."""
    words = WORDS["oxford_pets"]
    assert BACKBONE.token_counts(words) == (2, 1)
    learner = coop(attributes=words, n_ctx=2)
    x, play = embedded("X")[1:2], embedded("playfulness")[1:2]
    att1, att2 = learner.anchors
    row = torch.cat([embedded("x")[:1], att1, play, att2, x, learner.context, x, embedded("red fox.")[1:5]]).detach()
    assert torch.equal(anchored(learner)[0, : len(row)], row)


@pytest.mark.parametrize("make", [coop, maple])
def test_every_learned_vector_has_a_gradient_and_no_unused_one_is_learned(make: Any) -> None:
    learner = make(attributes=("color", "shape"))
    images = PixelBatch(tiny.pixels(4), BACKBONE)
    learner.backward(learner.training_step(images, LABELS, learner.training_prompts(CLASSES))[1])
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in learner.parameters())
    assert len(learner.anchors) == 2
    assert float(torch.stack([*learner.anchors]).detach().std()) == pytest.approx(0.01, rel=0.2)


def test_other_datasets_have_the_words_of_the_training_unless_requested() -> None:
    target = Classes(CLASSES.names, CLASSES.template, "oxford_flowers")
    plain, own = (coop(attributes=("color", "shape"), target_attributes=on) for on in (False, True))
    assert plain.words("oxford_flowers") == ("color", "shape")
    assert own.words("oxford_flowers") == ("color", "habitat", "growth")
    assert own.words("dtd") == ("color", "shape")
    row = anchored(own, target)[0]
    assert torch.equal(row[7:9], own.untrained[0])  # the third anchor is the draw that nothing has trained
    assert anchored(plain, target).shape[1] == row.shape[0] - 3
    assert own.text_features(own.prompts(target)).shape == (3, BACKBONE.embed_dim)


def test_the_published_sizes() -> None:
    assert 3 * 2 * 512 == 3_072
    assert 2_048 + 4_096 + 8 * 2_048 + 9 * 393_984 == 3_568_384 or 4 * 512 == 2_048
    learner = coop(n_ctx=2)
    assert sum(parameter.numel() for parameter in learner.parameters()) == 3 * 2 * BACKBONE.text.width


def test_a_prompt_that_is_too_long_is_refused() -> None:
    with pytest.raises(UserError):
        coop(n_ctx=40).prompts(CLASSES)


@pytest.mark.parametrize(
    ("protocol", "dataset", "is_source", "expected"),
    [
        ("base-to-novel", "dtd", False, ((4, 100), (4, 9, 5))),
        ("base-to-novel", "ucf101", False, ((2, 100), (2, 9, 5))),
        ("base-to-novel", "eurosat", False, ((2, 100), (4, 9, 10))),
        ("base-to-novel", "imagenet", True, ((2, 10), (4, 9, 5))),
        ("cross-dataset", "imagenet", True, ((4, 10), (4, 3, 2))),
    ],
)
def test_presets_are_the_released_ones(protocol: Any, dataset: str, is_source: bool, expected: Any) -> None:
    task = tiny.training_task(protocol, is_source=is_source).model_copy(update={"dataset": dataset})
    config, recipe = ATPromptCoOp.preset(task)
    deep, deep_recipe = ATPromptMaPLe.preset(task)
    assert ((config.n_ctx, recipe.epochs), (deep.n_ctx, deep.prompt_depth, deep_recipe.epochs)) == expected
    assert config.attributes == deep.attributes == WORDS.get(dataset, ("color", "shape"))
