"""RAda joined to other learners: it starts as they do and adds its mask and nothing else."""

from typing import Any

import pytest
import tiny
import torch
import torch.nn.functional as F
from torch import Tensor

from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.protocol_table import Protocol
from promptarena.benchmark.core.recipe import Recipe
from promptarena.benchmark.inputs.views import PixelBatch
from promptarena.benchmark.plugins.learner import Learner
from promptarena.methods.clip_adapter import CLIPAdapter
from promptarena.methods.coop import CoOp
from promptarena.methods.ivlp import IVLP
from promptarena.methods.maple import MaPLe
from promptarena.methods.promptsrc import PromptSRC
from promptarena.methods.rada import RAda, RationalConfig
from promptarena.methods.rada_plus import RAdaCLIPAdapter, RAdaCoOp, RAdaIVLP, RAdaMaPLe, RAdaPromptSRC

BACKBONE = tiny.wrapped(tiny.model(tiny.config() | {"embed_dim": 24}))
CLASSES = Classes(("red fox", "zebra", "great barn owl"), "art of the {}.")
IMAGES = PixelBatch(tiny.pixels(4), BACKBONE)
LABELS = torch.tensor([0, 1, 2, 1])
DEPTHS = {"prompt_depth_text": 2, "prompt_depth_vision": 2}
SETTINGS: dict[type[Learner], dict[str, Any]] = {
    CoOp: {},
    IVLP: DEPTHS,
    MaPLe: {"prompt_depth": 2},
    PromptSRC: {**DEPTHS, "teacher_templates": ("art of a {}.", "a {}.")},
    CLIPAdapter: {},
}
PAIRS = [
    (RAdaCoOp, CoOp),
    (RAdaIVLP, IVLP),
    (RAdaMaPLe, MaPLe),
    (RAdaPromptSRC, PromptSRC),
    (RAdaCLIPAdapter, CLIPAdapter),
]
each = pytest.mark.parametrize(("joined", "alone"), PAIRS, ids=lambda learner: learner.__name__)


def build(learner: type[Learner], settings: dict[str, Any]) -> Any:
    config = learner.config_type(**settings)
    return learner(BACKBONE, config, CLASSES, torch.Generator().manual_seed(0))


def moved(joined: type[Learner], alone: type[Learner], **settings: Any) -> Any:
    """With a mask that is not 1."""
    learner, drawn = build(joined, SETTINGS[alone] | settings), torch.Generator().manual_seed(1)
    with torch.no_grad():
        learner.attention.o.weight.copy_(0.3 * torch.randn(24, 24, generator=drawn))
    return learner


@torch.no_grad()
def logits(learner: Any, classes: Classes = CLASSES) -> Tensor:
    return learner.logits(IMAGES, learner.classifier(learner.prompts(classes)))


@torch.no_grad()
def step(learner: Any) -> tuple[Tensor, dict[str, Tensor]]:
    return learner.training_step(IMAGES, LABELS, learner.training_prompts(CLASSES))


@torch.no_grad()
def masked(learner: Any, other: Any) -> tuple[Tensor, Tensor]:
    """The mask and the masked logits of the other learner's features, entry by entry."""
    z = F.normalize(other.image_features(IMAGES), dim=-1)
    t = F.normalize(other.text_features(other.prompts(CLASSES)), dim=-1)
    mask = learner.attention(z, t, BACKBONE.scale)
    return mask, torch.stack([(BACKBONE.scale * mask[row] * image * t).sum(dim=1) for row, image in enumerate(z)])


def close(one: Tensor, other: Tensor, relative: float = 1e-5) -> bool:
    return bool((one - other).abs().max() <= relative * other.abs().max())


@each
def test_it_starts_as_the_other_learner_and_with_its_losses(joined: type[Learner], alone: type[Learner]) -> None:
    learner, other = build(joined, SETTINGS[alone]), build(alone, SETTINGS[alone])
    assert all(torch.equal(tensor, learner.state_dict()[name]) for name, tensor in other.state_dict().items())
    assert close(logits(learner), logits(other))
    (found, losses), (expected, terms) = step(learner), step(other)
    assert close(found, expected)
    assert losses.keys() == {*terms, "mask"}
    assert all(close(losses[name], terms[name]) for name in terms)
    assert not losses["mask"].any()


@each
def test_the_mask_acts_on_its_logits_and_pays_for_its_square(joined: type[Learner], alone: type[Learner]) -> None:
    learner, other = moved(joined, alone, alpha=0.7, temperature=0.5), build(alone, SETTINGS[alone])
    mask, expected = masked(learner, other)
    assert close(logits(learner), expected)
    assert not close(expected, logits(other), 1e-2)
    (found, losses), (_, terms) = step(learner), step(other)
    assert close(found, expected)
    assert close(losses["mask"], 0.7 * ((mask - 1) ** 2).sum() / mask.numel())
    assert close(losses["cross_entropy"], F.cross_entropy(expected, LABELS))
    kept = terms.keys() - {"cross_entropy", "logit_kl"}
    assert all(close(losses[name], terms[name]) for name in kept)


@each
def test_permuted_classes_permute_the_logits(joined: type[Learner], alone: type[Learner]) -> None:
    learner = moved(joined, alone)
    permuted = Classes(CLASSES.names[::-1], CLASSES.template)
    assert close(logits(learner, permuted), logits(learner).flip(1), 1e-4)


@each
def test_the_other_learner_and_the_mask_are_trained_together(joined: type[Learner], alone: type[Learner]) -> None:
    learner = moved(joined, alone)
    _, losses = learner.training_step(IMAGES, LABELS, learner.training_prompts(CLASSES))
    torch.stack(list(losses.values())).sum().backward()
    assert all(parameter.grad.any() for parameter in learner.parameters())


@each
def test_presets_are_the_other_learners_with_ours(joined: type[Learner], alone: type[Learner]) -> None:
    protocols: tuple[Protocol, ...] = ("base-to-novel", "cross-dataset", "few-shot")
    for task in map(tiny.training_task, protocols):
        (config, recipe), (theirs, their_recipe) = joined.preset(task), alone.preset(task)
        assert config.model_dump() == {**RationalConfig().model_dump(), **theirs.model_dump()}
        assert recipe == (RAda.preset(task)[1] if alone is CLIPAdapter else their_recipe)


def test_the_teacher_of_promptsrc_is_not_masked() -> None:
    learner, other = moved(RAdaPromptSRC, PromptSRC), build(PromptSRC, SETTINGS[PromptSRC])
    with torch.no_grad():
        teacher = F.normalize(IMAGES.features, dim=-1) @ other.teacher(CLASSES).T
        log_p = (BACKBONE.scale * teacher).log_softmax(dim=1)
        log_l = masked(learner, other)[1].log_softmax(dim=1)
    assert close(step(learner)[1]["logit_kl"], (log_p.exp() * (log_p - log_l)).sum() / 12, 1e-4)


def test_the_average_of_promptsrc_leaves_the_attention_as_trained() -> None:
    learner = moved(RAdaPromptSRC, PromptSRC)
    recipe = Recipe(epochs=2, batch_size=4, lr=0.1)
    for epoch in (1, 2):
        with torch.no_grad():
            for parameter in learner.parameters():
                parameter.add_(1.0)
        before = {name: tensor.clone() for name, tensor in learner.named_parameters()}
        learner.end_epoch(epoch, recipe)
    changed = {name for name, tensor in learner.named_parameters() if not torch.equal(tensor, before[name])}
    assert changed == {name for name in before if not name.startswith("attention.")}


def test_an_adapter_whose_last_layer_starts_at_zero_after_a_relu_never_learns() -> None:
    gradients = []
    for zeroed in (True, False):
        learner = moved(RAdaCLIPAdapter, CLIPAdapter)
        if zeroed:
            torch.nn.init.zeros_(learner.adapter[2].weight)
        _, losses = learner.training_step(IMAGES, LABELS, learner.training_prompts(CLASSES))
        torch.stack(list(losses.values())).sum().backward()
        gradients.append([bool(parameter.grad.any()) for parameter in learner.adapter.parameters()])
    assert gradients == [[False, False], [True, True]]
