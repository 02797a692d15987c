"""Tip-Adapter and Tip-Adapter-F: cache, search and transfer, against NumPy loops and against zero-shot CLIP."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import tiny
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.recipe import TrainingTask, images_seen
from promptarena.benchmark.plugins.learner import CannotTransferError
from promptarena.benchmark.plugins.registry import load_registry
from promptarena.benchmark.plugins.templates import SELECT_7
from promptarena.benchmark.training.shots import batches
from promptarena.methods.tip_adapter import TipAdapter, TipAdapterConfig, TipAdapterF
from promptarena.methods.zeroshot import ZeroShot, ZeroShotConfig

CLASSES = Classes(tiny.NAMES, "art of the {}.")
both = pytest.mark.parametrize("kind", [TipAdapter, TipAdapterF])


def drawn(count: int, seed: int) -> Tensor:
    return torch.randn(count, 20, generator=torch.Generator().manual_seed(seed))


def labels(count: int) -> Tensor:
    return torch.arange(count) % 3


@dataclass(frozen=True)
class Viewed(tiny.Shots):
    """Shots whose random views differ."""

    def augmented(self, index: int) -> Any:
        return tiny.Given(index * self.train.features + drawn(len(self.train), index))


def shots(train: int = 9, val: int = 12) -> Viewed:
    return Viewed(tiny.Given(drawn(train, 100)), labels(train), tiny.Given(drawn(val, 200)), labels(val))


IMAGES = tiny.Given(drawn(5, 300))


def tip(kind: type[TipAdapter] = TipAdapter, classes: Classes = CLASSES, **config: Any) -> Any:
    return kind(tiny.backbone(), TipAdapterConfig(**config), classes, torch.Generator())


def fitted(kind: type[TipAdapter] = TipAdapter, **config: Any) -> Any:
    learner = tip(kind, **config)
    learner.fit(shots())
    return learner


@torch.no_grad()
def logits(learner: Any, images: Any = IMAGES, classes: Classes = CLASSES) -> Tensor:
    found: Tensor = learner.logits(images, learner.classifier(learner.prompts(classes)))
    return found


def zero_shot(images: Any = IMAGES, templates: tuple[str, ...] = ()) -> Tensor:
    return logits(ZeroShot(tiny.backbone(), ZeroShotConfig(templates=templates), CLASSES, torch.Generator()), images)


def naive(images: Any, keys: Tensor, values: Tensor, alpha: float, beta: float) -> np.ndarray:
    """The formula, image by image and key by key."""
    found = zero_shot(images).double().numpy().copy()
    for row, feature in enumerate(images.features.double().numpy()):
        f = feature / np.linalg.norm(feature)
        for key, label in zip(keys.double().numpy(), values.tolist(), strict=True):
            found[row, label] += alpha * np.exp(-beta * (1 - f @ key))
    return found


def test_logits_are_those_of_the_formula() -> None:
    learner = fitted(alpha=3.0, beta=2.5)
    expected = naive(IMAGES, learner.keys, labels(9), 3.0, 2.5)
    np.testing.assert_allclose(logits(learner).numpy(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("passes", [1, 3])
def test_keys_are_normalised_means_of_features_as_long_as_they_are(passes: int) -> None:
    views = [shots().augmented(index).features.numpy() for index in range(1, passes + 1)]
    mean = np.mean(views, axis=0)
    expected = mean / np.linalg.norm(mean, axis=1, keepdims=True)
    np.testing.assert_allclose(fitted(passes=passes).keys.numpy(), expected, rtol=1e-5, atol=1e-6)


@both
def test_without_the_cache_it_is_zero_shot(kind: type[TipAdapter]) -> None:
    assert torch.equal(logits(tip(kind)), zero_shot())
    assert torch.equal(logits(fitted(kind, alpha=0.0)), zero_shot())
    assert not torch.allclose(logits(fitted(kind)), zero_shot(), atol=1e-2)


def test_the_zero_shot_classifier_may_be_an_ensemble() -> None:
    templates = ("art of the {}.", "a {} toy.")
    assert torch.equal(logits(tip(templates=templates)), zero_shot(templates=templates))


def test_a_training_image_has_affinity_one_with_itself() -> None:
    learner, given = tip(passes=1, beta=30.0), shots()
    learner.fit(tiny.Shots(given.train, given.train_labels, given.val, given.val_labels))
    f = F.normalize(given.train.features, dim=-1)
    votes = learner.votes(f, torch.eye(9), learner.beta)
    torch.testing.assert_close(votes.diagonal(), torch.ones(9), rtol=1e-4, atol=1e-4)
    assert float((votes - torch.eye(9)).max()) < 0.99


def test_a_large_beta_leaves_the_nearest_key_alone() -> None:
    learner = fitted(beta=100.0)
    f = F.normalize(IMAGES.features, dim=-1)
    nearest = labels(9)[(f @ learner.keys.T).argmax(-1)]
    assert torch.equal(learner.votes(f, F.one_hot(labels(9)).float(), learner.beta).argmax(-1), nearest)


def test_the_order_of_the_cache_does_not_matter() -> None:
    given, order = shots(), torch.randperm(9, generator=torch.Generator().manual_seed(0))
    learner, permuted = tip(passes=1), tip(passes=1)
    learner.fit(tiny.Shots(given.train, given.train_labels, given.val, given.val_labels))
    shuffled = tiny.Given(given.train.features[order])
    permuted.fit(tiny.Shots(shuffled, given.train_labels[order], given.val, given.val_labels))
    torch.testing.assert_close(logits(permuted), logits(learner))


@pytest.mark.parametrize(("alpha_search", "beta_search"), [(3.0, 7.0), (50.0, 50.0)])
@both
def test_the_search_keeps_the_first_best_pair_on_validation(
    kind: type[TipAdapter], alpha_search: float, beta_search: float
) -> None:
    learner, given = fitted(kind, alpha_search=alpha_search, beta_search=beta_search), shots()
    plain, expected = zero_shot(given.val), (-1, 0.0, 0.0)
    distances = 1 - F.normalize(given.val.features, dim=-1) @ learner.keys.detach().T
    for i in range(200):
        for j in range(20):
            beta, alpha = 0.1 + i * (beta_search - 0.1) / 200, 0.1 + j * (alpha_search - 0.1) / 20
            scores = plain + alpha * torch.exp(-beta * distances) @ F.one_hot(labels(9)).float()
            right = int((scores.argmax(-1) == given.val_labels).sum())
            if right > expected[0]:
                expected = (right, alpha, beta)
    learner.end_training(given)
    assert (float(learner.alpha), float(learner.beta)) == pytest.approx(expected[1:])
    assert int((logits(learner, given.val).argmax(-1) == given.val_labels).sum()) == expected[0]


@both
def test_without_validation_images_alpha_and_beta_stay(kind: type[TipAdapter]) -> None:
    learner = fitted(kind, alpha=2.0, beta=3.0)
    learner.end_training(shots(val=0))
    assert (float(learner.alpha), float(learner.beta)) == (2.0, 3.0)


def test_the_search_does_not_look_at_the_training_images_again() -> None:
    one, other, given = fitted(), fitted(), shots()
    one.end_training(given)
    other.end_training(tiny.Shots(None, labels(0), given.val, given.val_labels))
    assert float(one.alpha) == float(other.alpha)
    assert float(one.beta) == float(other.beta)


@both
def test_trained_classes_are_found_by_their_names(kind: type[TipAdapter]) -> None:
    learner = fitted(kind)
    some = Classes((CLASSES.names[2], CLASSES.names[0]), CLASSES.template, "shifted")
    torch.testing.assert_close(logits(learner, classes=some), logits(learner)[:, [2, 0]])


def test_classes_of_one_name_keep_their_own_images() -> None:
    classes = Classes(("missile", "zebra", "missile"), CLASSES.template)
    learner = tip(classes=classes)
    learner.fit(shots())
    first, _, third = logits(learner, classes=classes).T
    assert not torch.allclose(first, third, atol=1e-3)


@both
def test_other_classes_are_refused(kind: type[TipAdapter]) -> None:
    with pytest.raises(CannotTransferError, match="no images of classes it was not trained on"):
        fitted(kind).prompts(Classes((CLASSES.names[0], "gnu"), CLASSES.template))


@both
def test_a_new_learner_takes_over_a_cache_of_any_size(kind: type[TipAdapter]) -> None:
    learner = fitted(kind)
    learner.end_training(shots())
    other = tip(kind)
    other.fit(shots(train=6))
    other.load_state_dict(learner.state_dict())
    assert torch.equal(logits(other), logits(learner))
    learner.keys.data.zero_()
    assert float(other.keys.detach().abs().sum()) > 0


def test_the_tuned_cache_starts_as_the_training_free_one() -> None:
    assert torch.equal(logits(fitted(TipAdapterF)), logits(fitted()))


def test_only_the_keys_are_trained() -> None:
    assert not list(fitted().parameters())
    learner, given = fitted(TipAdapterF), shots()
    assert [(name, tuple(value.shape)) for name, value in learner.named_parameters()] == [("keys", (9, 20))]
    assert isinstance(learner.keys, nn.Parameter)
    optimizer = torch.optim.AdamW(learner.parameters(), lr=0.01)
    losses, prompts = [], learner.training_prompts(CLASSES)
    for _ in range(10):
        _, terms = learner.training_step(given.train, given.train_labels, prompts)
        optimizer.zero_grad()
        learner.backward(terms)
        optimizer.step()
        losses.append(float(terms["cross_entropy"].detach()))
    assert losses[-1] < losses[0]
    np.testing.assert_allclose(
        logits(learner).numpy(), naive(IMAGES, learner.keys.detach(), labels(9), 1.17, 1.0), rtol=1e-4, atol=1e-4
    )


RELEASED = [
    ("imagenet", 1.17, 7, 3),
    ("oxford_pets", 1.17, 7, 3),
    ("ucf101", 3, 7, 3),
    ("caltech101", 3, 12, 5),
    ("sun397", 1.17, 12, 10),
    ("eurosat", 2, 12, 10),
    ("dtd", 2, 13, 13),
    ("food101", 1.17, 10, 10),
    ("stanford_cars", 3, 20, 10),
    ("fgvc_aircraft", 5, 30, 30),
    ("oxford_flowers", 10, 50, 50),
    ("something else", 1.17, 7, 3),
]


@both
@pytest.mark.parametrize(("dataset", "alpha", "beta_search", "alpha_search"), RELEASED)
def test_settings_are_the_released_ones_of_the_dataset(
    kind: type[TipAdapter], dataset: str, alpha: float, beta_search: float, alpha_search: float
) -> None:
    config, recipe = kind.preset(TrainingTask(protocol="few-shot", shots=16, is_source=False, dataset=dataset))
    found = (config.alpha, config.beta, config.beta_search, config.alpha_search, config.passes)
    assert found == (alpha, 1.0, beta_search, alpha_search, 10)
    assert config.templates == (SELECT_7 if dataset == "imagenet" else ())
    assert recipe.crop_scale == (0.5, 1.0)
    assert recipe.augment
    assert recipe.epochs == (0 if kind is TipAdapter else 100 if dataset == "eurosat" else 20)


def test_the_tuned_recipe_is_the_released_one() -> None:
    _, recipe = TipAdapterF.preset(tiny.training_task())
    assert (recipe.optimizer, recipe.lr, recipe.eps, recipe.weight_decay) == ("adamw", 1e-3, 1e-4, 0.01)
    assert (recipe.batch_size, recipe.schedule, recipe.warmup_epochs) == (256, "by step", 0)


@pytest.mark.parametrize(("images", "sizes"), [(160, [160]), (300, [256, 44]), (752, [256, 256, 240])])
def test_an_epoch_of_the_tuned_cache_has_all_shots(images: int, sizes: list[int]) -> None:
    _, recipe = TipAdapterF.preset(tiny.training_task())
    for epoch in (1, recipe.epochs):
        assert [len(rows) for rows in batches(images, recipe, 1, epoch)] == sizes
    assert images_seen(recipe, images) == 20 * images


def test_only_methods_of_cached_features_and_low_rank_weights_keep_the_last_batch() -> None:
    learners = {name: method.learner for name, method in load_registry(()).methods.items()}
    recipes = {name: learner.preset(tiny.training_task())[1] for name, learner in learners.items()}
    assert [name for name, recipe in recipes.items() if not recipe.drop_last] == [
        "tip-adapter-f",
        "clip-lora",
        "two-stage",
    ]
