"""Both methods keep promptarena's contract and do what their papers say."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from promptarena_examples.gda import GDA, GDAConfig
from promptarena_examples.taskres import TaskRes, TaskResConfig
from torch import Tensor

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.contract.kit import World, check, miniature
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.recipe import TrainingTask
from promptarena.benchmark.plugins.learner import CannotTransferError, Learner

CLASSES = Classes(("zero", "one", "two"), "the digit {}.")


@pytest.fixture(scope="module")
def world() -> World:
    return miniature(shots=8)  # of 16 images a class, so that seeds draw different ones


@dataclass(frozen=True)
class Given:
    """Images known by their features."""

    features: Tensor

    def __len__(self) -> int:
        return len(self.features)

    @property
    def pixels(self) -> Tensor:
        raise AssertionError("only features are needed")

    def tokens_at(self, block: int) -> Tensor:
        raise AssertionError("only features are needed")


@dataclass(frozen=True)
class Drawn:
    """Shots whose random views differ."""

    train: Given
    train_labels: Tensor
    val: Given
    val_labels: Tensor

    def augmented(self, index: int) -> Given:
        return Given(self.train.features + features(len(self.train), self.train.features.shape[1], index))


def features(count: int, d: int, seed: int) -> Tensor:
    return torch.randn(count, d, generator=torch.Generator().manual_seed(seed))


def shots(d: int, val: int = 12) -> Drawn:
    labels = torch.arange(12) % 3
    return Drawn(Given(features(12, d, 100)), labels, Given(features(12, d, 200)[:val]), labels[:val])


def taskres(backbone: Backbone, **config: Any) -> TaskRes:
    return TaskRes(backbone, TaskResConfig(**config), CLASSES, torch.Generator())


def gda(backbone: Backbone, **config: Any) -> GDA:
    return GDA(backbone, GDAConfig(**config), CLASSES, torch.Generator())


@torch.no_grad()
def logits(learner: Learner, images: Any) -> Tensor:
    return learner.logits(images, learner.classifier(learner.prompts(CLASSES)))


@torch.no_grad()
def zero_shot(backbone: Backbone, images: Any) -> Tensor:
    t = backbone.encode_text(backbone.embed(backbone.tokenize(CLASSES.filled())))
    return backbone.scale * torch.nn.functional.cosine_similarity(images.features[:, None], t[None], dim=-1)


@pytest.mark.parametrize("learner", [TaskRes, GDA])
def test_it_keeps_the_contract(learner: type[Learner], world: World) -> None:
    broken = [finding for finding in check(learner, world) if finding.passed is False]
    assert not broken, "\n".join(map(str, broken))


def test_taskres_starts_as_zero_shot_and_adds_a_scaled_residual(world: World) -> None:
    learner, images = taskres(world.backbone, alpha=0.25), Given(features(4, world.backbone.embed_dim, 0))
    torch.testing.assert_close(logits(learner, images), zero_shot(world.backbone, images))
    t = learner.prompts(CLASSES)
    torch.nn.init.ones_(learner.x)
    torch.testing.assert_close(learner.text_features(t), t + 0.25)


@pytest.mark.parametrize(("shots", "epochs"), [(1, 100), (4, 100), (8, 200), (16, 200)])
def test_the_recipe_of_taskres_is_the_released_one(shots: int, epochs: int) -> None:
    task = TrainingTask(protocol="few-shot", shots=shots, is_source=False, dataset="dtd")
    config, recipe = TaskRes.preset(task)
    assert (recipe.epochs, recipe.lr, config.alpha) == (epochs, 2e-3, 0.5)
    assert (recipe.optimizer, recipe.batch_size, recipe.warmup_epochs, recipe.warmup_lr) == ("adam", 256, 1, 1e-5)
    assert TaskRes.preset(task.model_copy(update={"dataset": "imagenet"}))[1].lr == 2e-4
    assert TaskRes.preset(task.model_copy(update={"dataset": "oxford_flowers"}))[0].alpha == 1


def test_gda_is_the_closed_form_of_all_views(world: World) -> None:
    d = world.backbone.embed_dim
    learner, images, given = gda(world.backbone, views=3, alphas=(0.1,)), Given(features(4, d, 0)), shots(d)
    learner.fit(given)
    f = np.concatenate([given.augmented(view).features.double().numpy() for view in (1, 2, 3)])
    f /= np.linalg.norm(f, axis=1, keepdims=True)
    y = np.tile(given.train_labels.numpy(), 3)
    mu = np.stack([f[y == label].mean(axis=0) for label in range(3)])
    scatter = sum(np.outer(x - mu[c], x - mu[c]) for x, c in zip(f, y, strict=True))
    p = d * np.linalg.inv(scatter + np.trace(scatter) / (len(f) - 1) * np.eye(d))
    x = images.features.double().numpy()
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    expected = zero_shot(world.backbone, images).numpy() + 0.1 * (
        x @ p @ mu.T + np.log(1 / 3) - np.einsum("cd,de,ce->c", mu, p, mu) / 2
    )
    np.testing.assert_allclose(logits(learner, images).numpy(), expected, rtol=1e-4, atol=1e-4)


def test_the_alpha_of_gda_is_the_first_best_on_validation(world: World) -> None:
    given, alphas = shots(world.backbone.embed_dim), (1e-4, 0.1, 10.0, 100.0)
    right = []
    for alpha in alphas:
        learner = gda(world.backbone, alphas=(alpha,))
        learner.fit(given)
        right.append(int((logits(learner, given.val).argmax(-1) == given.val_labels).sum()))
    learner = gda(world.backbone, alphas=alphas)
    learner.fit(given)
    assert len(set(right)) > 1
    assert float(learner.alpha) == pytest.approx(alphas[right.index(max(right))])


def test_without_validation_images_the_first_alpha_is_taken(world: World) -> None:
    learner = gda(world.backbone, alphas=(3.0, 1.0))
    learner.fit(shots(world.backbone.embed_dim, val=0))
    assert float(learner.alpha) == 3.0


@pytest.mark.parametrize("build", [taskres, gda])
def test_other_classes_are_refused(build: Any, world: World) -> None:
    with pytest.raises(CannotTransferError, match="only for the classes"):
        build(world.backbone).prompts(Classes(("three", "four"), CLASSES.template))
