"""KgCoOp: CoOp with a second loss term that keeps it near hand-written prompts."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor

from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.recipe import Recipe
from promptarena.benchmark.inputs.views import PixelBatch
from promptarena.methods.coop import CoOp, CoOpConfig
from promptarena.methods.kgcoop import KgCoOp, KgCoOpConfig
from promptarena.methods.zeroshot import ZeroShot, ZeroShotConfig

NAMES = ("red fox", "zebra", "great barn owl")
CLASSES = Classes(NAMES, "art of the {}.")
IMAGES = PixelBatch(tiny.pixels(4), tiny.backbone())
LABELS = torch.tensor([0, 1, 2, 1])


def kgcoop(seed: int = 0, **config: Any) -> KgCoOp:
    return KgCoOp(tiny.backbone(), KgCoOpConfig(**config), CLASSES, torch.Generator().manual_seed(seed))


def losses(learner: CoOp, classes: Classes = CLASSES) -> Mapping[str, Tensor]:
    return learner.training_step(IMAGES, LABELS, learner.training_prompts(classes))[1]


def knowledge(learner: KgCoOp, classes: Classes = CLASSES) -> float:
    return float(losses(learner, classes)["knowledge"].detach())


def plain_text(template: str) -> Tensor:
    learner = ZeroShot(tiny.backbone(), ZeroShotConfig(templates=(template,)), CLASSES, torch.Generator())
    return learner.text_features(learner.prompts(CLASSES))


def spelled_out(learned: Tensor, fixed: Tensor) -> float:
    """1 - the mean cosine, in NumPy."""
    g, w = learned.detach().double().numpy(), fixed.detach().double().numpy()
    cosines = (g * w).sum(-1) / np.linalg.norm(g, axis=-1) / np.linalg.norm(w, axis=-1)
    return float(1 - cosines.mean())


@pytest.mark.parametrize("weight", [0.0, 1.0, 8.0])
def test_the_term_is_the_weighted_distance_to_the_datasets_own_prompts(weight: float) -> None:
    learner = kgcoop(ctx_init="", n_ctx=4, weight=weight)
    expected = spelled_out(learner.text_features(learner.prompts(CLASSES)), plain_text(CLASSES.template))
    assert 0.01 < expected < 2
    assert knowledge(learner) == pytest.approx(weight * expected, rel=1e-4)


def test_it_starts_at_zero_where_the_words_are_the_hand_written_prompt() -> None:
    assert knowledge(kgcoop(), Classes(NAMES, "a photo of a {}.")) == pytest.approx(0, abs=1e-5)
    assert knowledge(kgcoop()) > 0.01


def test_textures_have_a_prompt_of_their_own() -> None:
    learner = kgcoop()
    expected = spelled_out(plain_text("a photo of a {}."), plain_text("a photo of a {}, a type of texture."))
    assert expected > 1e-3
    assert knowledge(learner, Classes(NAMES, "{} texture.", "dtd")) == pytest.approx(8 * expected, rel=1e-3)
    other = spelled_out(plain_text("a photo of a {}."), plain_text("{} texture."))
    assert knowledge(learner, Classes(NAMES, "{} texture.", "other")) == pytest.approx(8 * other, rel=1e-3)


def test_without_weight_it_learns_as_coop() -> None:
    learner = kgcoop(seed=3, ctx_init="", n_ctx=4, weight=0)
    coop = CoOp(tiny.backbone(), CoOpConfig(ctx_init="", n_ctx=4), CLASSES, torch.Generator().manual_seed(3))
    for one in (learner, coop):
        sum(losses(one).values(), torch.zeros(())).backward()
    assert learner.context.grad is not None
    assert coop.context.grad is not None
    assert torch.equal(learner.context, coop.context)
    assert torch.allclose(learner.context.grad, coop.context.grad, rtol=1e-5, atol=1e-8)


def test_it_scores_as_coop_does_and_without_the_hand_written_prompts() -> None:
    learner = kgcoop()
    coop = CoOp(tiny.backbone(), CoOpConfig(), CLASSES, torch.Generator())
    found = [one.logits(IMAGES, one.classifier(one.prompts(CLASSES))) for one in (learner, coop)]
    assert torch.equal(*found)


def test_the_term_pulls_the_features_towards_the_hand_written_ones() -> None:
    learner = kgcoop(ctx_init="", n_ctx=4)
    optimizer = torch.optim.Adam(learner.parameters(), lr=0.01)
    before = knowledge(learner)
    for _ in range(20):
        optimizer.zero_grad()
        losses(learner)["knowledge"].backward()
        optimizer.step()
    assert knowledge(learner) < 0.7 * before


def test_only_the_context_has_a_gradient() -> None:
    learner = kgcoop()
    prompts = learner.training_prompts(CLASSES)
    assert not prompts.w.requires_grad
    learner.training_step(IMAGES, LABELS, prompts)[1]["knowledge"].backward()
    assert [name for name, _ in learner.named_parameters()] == ["context"]
    assert learner.context.grad is not None
    assert learner.context.grad.any()


@pytest.mark.parametrize("protocol", ["base-to-novel", "few-shot", "cross-dataset"])
def test_the_preset_is_the_released_one(protocol: Any) -> None:
    config, recipe = KgCoOp.preset(tiny.training_task(protocol))
    assert config == KgCoOpConfig(ctx_init="a photo of a", weight=8.0)
    assert recipe == Recipe(epochs=100, batch_size=128, lr=0.002)
