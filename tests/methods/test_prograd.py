"""ProGrad: CoOp whose gradient loses what conflicts with zero-shot CLIP."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from pydantic import ValidationError
from torch import Tensor

from promptarena.benchmark.backbone.clip import Prompts
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.recipe import Recipe, TrainingTask
from promptarena.benchmark.inputs.views import PixelBatch
from promptarena.methods.coop import CoOp, CoOpConfig
from promptarena.methods.prograd import ProGrad, ProGradConfig
from promptarena.methods.zeroshot import ZeroShot, ZeroShotConfig

CLASSES = Classes(("red fox", "zebra", "great barn owl"), "art of the {}.")
BACKBONE = tiny.backbone()
IMAGES = PixelBatch(tiny.pixels(4), BACKBONE)
LABELS = torch.tensor([0, 1, 2, 1])
WORDS = "a photo of a"


def prograd(seed: int = 0, **config: Any) -> ProGrad:
    settings = {"ctx_init": WORDS, "n_ctx": 6} | config
    return ProGrad(BACKBONE, ProGradConfig(**settings), CLASSES, torch.Generator().manual_seed(seed))


def losses(learner: CoOp, labels: Tensor = LABELS) -> Mapping[str, Tensor]:
    return learner.training_step(IMAGES, labels, learner.training_prompts(CLASSES))[1]


def logits(learner: Any) -> Tensor:
    found: Tensor = learner.logits(IMAGES, learner.classifier(learner.prompts(CLASSES)))
    return found


def zeroshot(template: str) -> Tensor:
    return logits(ZeroShot(BACKBONE, ZeroShotConfig(templates=(template,)), CLASSES, torch.Generator()))


def gradient(learner: ProGrad, terms: Mapping[str, Tensor]) -> Tensor:
    learner.zero_grad()
    learner.backward(terms)
    assert learner.context.grad is not None
    return learner.context.grad


def linear(learner: ProGrad, a: Tensor, b: Tensor) -> Mapping[str, Tensor]:
    """Losses whose gradients are a and b."""
    return {"cross_entropy": (learner.context * a).sum(), "distillation": (learner.context * b).sum()}


def close(one: Tensor, other: Tensor, relative: float = 1e-4) -> bool:
    return bool((one - other).abs().max() <= relative * other.abs().max())


@pytest.mark.parametrize("weight", [0.0, 0.8, 1.0, 2.0])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_component_against_the_general_direction_is_taken_away(weight: float, sign: int) -> None:
    learner, random = prograd(weight=weight), torch.Generator().manual_seed(5)
    a = torch.randn(learner.context.shape, generator=random)
    b = sign * (a + 2 * torch.randn(learner.context.shape, generator=random))
    direction = b.numpy().ravel() / np.linalg.norm(b.numpy())
    along = float(a.numpy().ravel() @ direction)
    assert along * sign > 1
    expected = a.numpy().ravel() - (weight * along * direction if along < 0 else 0)
    assert np.allclose(gradient(learner, linear(learner, a, b)).numpy().ravel(), expected, atol=1e-5)


def test_only_the_direction_of_the_general_gradient_counts() -> None:
    learner = prograd()
    a, b = torch.ones_like(learner.context), -torch.ones_like(learner.context)
    b[0] = 3
    found = gradient(learner, linear(learner, a, b)).clone()
    assert not torch.equal(found, a)
    assert close(gradient(learner, linear(learner, a, 100 * b)), found)


def test_without_a_general_direction_it_is_the_plain_gradient() -> None:
    learner = prograd()
    a = torch.ones_like(learner.context)
    assert torch.equal(gradient(learner, linear(learner, a, torch.zeros_like(a))), a)


def test_no_step_works_against_distillation() -> None:
    learner, conflicts = prograd(), []
    for label in range(3):
        labels = torch.full((4,), label)
        (a,) = torch.autograd.grad(losses(learner, labels)["cross_entropy"], [learner.context])
        (b,) = torch.autograd.grad(losses(learner, labels)["distillation"], [learner.context])
        found = gradient(learner, losses(learner, labels))
        size = float(a.norm() * b.norm())
        assert float((found * b).sum()) >= -1e-5 * size
        conflicts.append(float((a * b).sum()) < 0)
        assert close(found, a) is not conflicts[-1]
    assert any(conflicts)
    assert not all(conflicts)


def test_without_weight_it_learns_as_coop() -> None:
    learner = prograd(n_ctx=4, weight=0)
    coop = CoOp(BACKBONE, CoOpConfig(ctx_init=WORDS), CLASSES, torch.Generator())
    losses(coop)["cross_entropy"].backward()
    assert coop.context.grad is not None
    assert close(gradient(learner, losses(learner)), coop.context.grad)


@pytest.mark.parametrize("t", [1.0, 2.0])
def test_distillation_is_the_soft_cross_entropy_with_zero_shot(t: float) -> None:
    learner = prograd(temperature=t)
    student, teacher = logits(learner).detach().double().numpy(), zeroshot("a photo of a {}.").double().numpy()
    p = np.exp(teacher / t) / np.exp(teacher / t).sum(-1, keepdims=True)
    log_s = student / t - np.log(np.exp(student / t).sum(-1, keepdims=True))
    expected = -(p * log_s).sum(-1).mean() * t**2
    assert float(losses(learner)["distillation"].detach()) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("dataset", "phrase"),
    [
        ("oxford_pets", "a type of pet, a photo of a"),
        ("oxford_flowers", "a type of flower, a photo of a"),
        ("fgvc_aircraft", "a type of aircraft, a photo of a"),
        ("dtd", "a texture of"),
        ("eurosat", "a centered satellite photo of"),
        ("food101", "a type of food, a photo of"),
        ("ucf101", "a photo of a person doing"),
        ("imagenet", WORDS),
        ("sun397", WORDS),
        ("a dataset of one's own", WORDS),
    ],
)
@pytest.mark.parametrize("ctx_init", ["", WORDS, "this is one"])
def test_the_teacher_has_the_phrase_of_the_dataset_whatever_the_context_starts_from(
    dataset: str, phrase: str, ctx_init: str
) -> None:
    classes = Classes(CLASSES.names, CLASSES.template, dataset)
    teacher = prograd(ctx_init=ctx_init).training_prompts(classes).w
    own = ZeroShot(BACKBONE, ZeroShotConfig(templates=(f"{phrase} {{}}.",)), CLASSES, torch.Generator())
    assert close(teacher, own.classifier(own.prompts(CLASSES)))


def test_a_student_that_is_its_teacher_has_nothing_to_distil() -> None:
    learner = prograd(n_ctx=4)
    terms = losses(learner)
    (a,) = torch.autograd.grad(terms["cross_entropy"], [learner.context], retain_graph=True)
    (b,) = torch.autograd.grad(terms["distillation"], [learner.context])
    assert float(b.norm()) < 1e-3 * float(a.norm())


@pytest.mark.parametrize("phrase", [WORDS, "a centered satellite photo of", "a type of pet, a photo of a"])
def test_with_as_many_vectors_as_words_it_starts_as_zero_shot(phrase: str) -> None:
    learner = prograd(ctx_init=phrase, n_ctx=len(phrase.split()))
    assert close(logits(learner), zeroshot(f"{phrase} {{}}."))


@pytest.mark.parametrize("phrase", ["a photo of a", "a type of pet, a photo of a"])
def test_vectors_without_a_word_stand_first_and_are_zero(phrase: str) -> None:
    words = len(phrase.split())
    learner = prograd(ctx_init=phrase, n_ctx=words + 3)
    embedded = BACKBONE.embed(BACKBONE.tokenize([phrase])).embeddings[0, 1 : 1 + words]
    assert learner.context.shape == (words + 3, 32)
    assert not learner.context[:3].any()
    assert torch.equal(learner.context[3:], embedded)
    whole = BACKBONE.embed(BACKBONE.tokenize(CLASSES.filled(f"X X X {phrase} {{}}.")))
    rows = whole.embeddings.clone()
    rows[:, 1:4] = 0
    assert close(learner.text_features(learner.prompts(CLASSES)), BACKBONE.encode_text(Prompts(rows, whole.eot)))


def test_a_drawn_context_is_coops() -> None:
    learner = prograd(seed=4, ctx_init="", n_ctx=5)
    coop = CoOp(BACKBONE, CoOpConfig(ctx_init="", n_ctx=5), CLASSES, torch.Generator().manual_seed(4))
    assert torch.equal(learner.context, coop.context)
    assert torch.equal(logits(learner), logits(coop))


def test_contradictory_settings_are_refused() -> None:
    with pytest.raises(ValidationError, match="ctx_init has 4 words but n_ctx is 3"):
        ProGradConfig(n_ctx=3)
    with pytest.raises(ValidationError, match="class_specific needs a drawn context"):
        ProGradConfig(class_specific=True)


@pytest.mark.parametrize(
    ("protocol", "shots", "is_source", "epochs"),
    [
        ("base-to-novel", 16, False, 100),
        ("base-to-novel", 4, True, 50),
        ("cross-dataset", 16, True, 50),
        ("domain-generalization", 4, True, 50),
        ("few-shot", 1, False, 50),
        ("few-shot", 4, False, 100),
        ("few-shot", 16, False, 200),
        ("few-shot", 16, True, 50),
    ],
)
def test_presets_are_the_released_ones(protocol: Any, shots: int, is_source: bool, epochs: int) -> None:
    config, recipe = ProGrad.preset(tiny.training_task(protocol, shots, is_source))
    assert config == ProGradConfig(ctx_init=WORDS, n_ctx=16, weight=1.0, temperature=1.0)
    assert recipe == Recipe(epochs=epochs, batch_size=32, lr=0.002)


@pytest.mark.parametrize(
    ("dataset", "phrase"),
    [
        ("oxford_pets", "a type of pet, a photo of a"),
        ("dtd", "a texture of"),
        ("food101", "a type of food, a photo of"),
        ("ucf101", "a photo of a person doing"),
        ("sun397", WORDS),
        ("imagenet", WORDS),
    ],
)
def test_the_words_are_the_datasets(dataset: str, phrase: str) -> None:
    task = TrainingTask(protocol="base-to-novel", shots=16, dataset=dataset, card=dataset, is_source=False)
    assert ProGrad.preset(task)[0] == ProGradConfig(ctx_init=phrase)
    of_miniature = task.model_copy(update={"card": "something else"})
    assert ProGrad.preset(of_miniature)[0] == ProGradConfig(ctx_init=WORDS)


@pytest.mark.parametrize(
    ("protocol", "dataset", "shots", "weight"),
    [
        ("few-shot", "dtd", 16, 0.8),
        ("few-shot", "eurosat", 8, 0.8),
        ("few-shot", "eurosat", 4, 1.0),
        ("few-shot", "food101", 16, 1.0),
        ("base-to-novel", "dtd", 16, 1.0),
    ],
)
def test_three_datasets_bend_less_with_many_shots(protocol: Any, dataset: str, shots: int, weight: float) -> None:
    task = TrainingTask(protocol=protocol, shots=shots, dataset=dataset, is_source=False)
    config = ProGrad.preset(task)[0]
    assert isinstance(config, ProGradConfig)
    assert config.weight == weight
