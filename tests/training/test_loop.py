"""The training loop: the published schedule, the written-out steps, and resuming as if nothing had happened."""

import math
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from training_runs import RECIPE, coop, run, same

from promptarena.benchmark.core.recipe import Recipe, images_seen, learning_rate
from promptarena.benchmark.core.recipe import adapted as adapted_to_suite
from promptarena.benchmark.inputs.views import View
from promptarena.benchmark.training.shots import batches
from promptarena.methods.coop import CoOp, CoOpConfig

RATES = [
    (2, 0.0026, {1: 1e-5, 2: 0.0026}),
    (5, 0.0035, {1: 1e-5, 2: 0.0035, 3: 0.00316578, 4: 0.00229078, 5: 0.00120922}),
    (10, 0.002, {2: 0.002, 3: 0.00195106, 4: 0.00180902, 5: 0.00158779, 6: 0.00130902, 7: 0.001}),
    (10, 0.002, {8: 0.000690983, 9: 0.000412215, 10: 0.000190983}),
    (20, 0.0025, {1: 1e-5, 20: 6.11794e-05}),
    (50, 0.002, {1: 1e-5, 2: 0.002, 50: 7.8853e-06}),
]


@pytest.mark.parametrize(("epochs", "lr", "published"), RATES)
def test_the_published_learning_rates(epochs: int, lr: float, published: dict[int, float]) -> None:
    """The table is printed with six digits: equal to 1e-9, or as far as it goes."""
    recipe = Recipe(epochs=epochs, batch_size=1, lr=lr)
    for epoch, rate in published.items():
        assert learning_rate(recipe, epoch) == pytest.approx(rate, rel=5e-6, abs=1e-9)


def test_without_warm_up_the_cosine_starts_at_once_and_never_ends_at_zero() -> None:
    recipe = Recipe(epochs=3, batch_size=1, lr=1.0, warmup_epochs=0)
    assert [learning_rate(recipe, epoch) for epoch in (1, 2, 3)] == pytest.approx([1.0, 0.75, 0.25])


def test_a_suite_multiplies_all_rates_caps_the_epochs_and_may_forgo_augmentation() -> None:
    def adapted(recipe: Recipe, **changes: Any) -> Recipe:
        return adapted_to_suite(recipe, 100, **{"adaptive_lr_multiplier": 3.0, "max_steps": None, **changes})

    changed = adapted(RECIPE, lr_multiplier=25.0, max_epochs=2, augment=False)
    assert changed == RECIPE.model_copy(update={"lr": 2.5, "warmup_lr": 1.25, "epochs": 2, "augment": False})
    assert adapted(RECIPE, lr_multiplier=1.0, max_epochs=None, augment=True) == RECIPE
    assert adapted(RECIPE, lr_multiplier=1.0, max_epochs=10, augment=True).epochs == 4
    an_epoch = 100 // RECIPE.batch_size
    for steps, epochs in ((1, RECIPE.warmup_epochs + 1), (3 * an_epoch, 3), (3 * an_epoch - 1, 2), (10**6, 4)):
        capped = adapted(RECIPE, lr_multiplier=1.0, max_epochs=None, max_steps=steps, augment=True)
        assert capped.epochs == epochs
    plain = RECIPE.model_copy(update={"augment": False})
    assert not adapted(plain, lr_multiplier=1.0, max_epochs=None, augment=True).augment
    for optimizer in ("adam", "adamw"):
        adaptive = RECIPE.model_copy(update={"optimizer": optimizer})
        assert adapted(adaptive, lr_multiplier=25.0, max_epochs=None, augment=True).lr == 3.0 * RECIPE.lr


def test_a_cosine_by_step_falls_at_every_step_and_ends_at_zero() -> None:
    recipe = RECIPE.model_copy(update={"schedule": "by step", "warmup_epochs": 0})
    rates = [learning_rate(recipe, epoch, step, 5) for epoch in range(1, recipe.epochs + 1) for step in range(5)]
    steps = len(rates)
    assert rates == pytest.approx([recipe.lr * (1 + math.cos(math.pi * i / steps)) / 2 for i in range(steps)])
    warm = recipe.model_copy(update={"warmup_epochs": 1})
    assert learning_rate(warm, 1, 3, 5) == warm.warmup_lr
    assert learning_rate(warm, 2, 0, 5) == warm.lr


@given(st.integers(1, 500), st.integers(1, 40), st.integers(1, 400), st.integers(0, 2))
def test_a_cap_on_steps_holds_for_every_recipe_that_one_step_an_epoch_fits(
    images: int, size: int, most: int, warmup: int
) -> None:
    recipe = RECIPE.model_copy(update={"batch_size": size, "warmup_epochs": warmup})
    capped = adapted_to_suite(
        recipe,
        images,
        lr_multiplier=1.0,
        adaptive_lr_multiplier=1.0,
        max_epochs=None,
        max_steps=most,
        augment=True,
    )
    assert capped.epochs * capped.steps(images) <= max(most, warmup + 1)
    assert capped.epochs > warmup
    if recipe.epochs * recipe.steps(images) <= most:
        assert capped == recipe


def test_images_seen_are_counted_by_step() -> None:
    assert images_seen(RECIPE, 10) == 4 * 9
    assert images_seen(RECIPE, 2) == 4 * 2
    assert images_seen(RECIPE.model_copy(update={"epochs": 0}), 10) == 10


def gradients(learner: tiny.Linear, features: Tensor, labels: Tensor, limit: float | None) -> list[Tensor]:
    """Of the mean cross-entropy of a linear head, by hand."""
    wrong = (features @ learner.weight.T + learner.bias).softmax(-1) - F.one_hot(labels, 3)
    found = [wrong.T @ features / len(labels), wrong.mean(0)]
    norm = torch.cat([part.flatten() for part in found]).norm()
    return found if limit is None else [part * min(1.0, limit / float(norm)) for part in found]


@pytest.mark.parametrize("limit", [None, 0.01])
def test_sgd_takes_the_written_out_steps(tmp_path: Path, limit: float | None) -> None:
    recipe = Recipe(
        epochs=3,
        batch_size=10,
        lr=0.2,
        warmup_lr=0.1,
        momentum=0.8,
        weight_decay=0.03,
        augment=False,
        clip_gradient=limit,
    )
    learner, task = tiny.linear(), tiny.task()
    run(learner, tmp_path, recipe)
    expected = tiny.linear()
    features = View(task.train.images, tiny.backbone(), tiny.NO_CACHE).features(range(10))
    velocity: list[Tensor] | None = None
    with torch.no_grad():
        for epoch in (1, 2, 3):
            parameters = [expected.weight, expected.bias]
            found = gradients(expected, features, torch.from_numpy(task.train.labels), limit)
            decayed = [grad + 0.03 * value for grad, value in zip(found, parameters, strict=True)]
            if velocity is None:
                velocity = decayed
            else:
                velocity = [0.8 * old + new for old, new in zip(velocity, decayed, strict=True)]
            for value, step in zip(parameters, velocity, strict=True):
                value -= learning_rate(recipe, epoch) * step
    torch.testing.assert_close(learner.weight, expected.weight, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(learner.bias, expected.bias, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("optimizer", "reference"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_other_optimizers_are_torchs(tmp_path: Path, optimizer: Any, reference: Any) -> None:
    recipe = Recipe(epochs=2, batch_size=10, lr=0.1, optimizer=optimizer, weight_decay=0.05, augment=False)
    learner, expected, task = tiny.linear(), tiny.linear(), tiny.task()
    run(learner, tmp_path, recipe)
    features = View(task.train.images, tiny.backbone(), tiny.NO_CACHE).features(range(10))
    theirs = reference(expected.parameters(), weight_decay=0.05)
    for epoch in (1, 2):
        theirs.param_groups[0]["lr"] = learning_rate(recipe, epoch)
        theirs.zero_grad()
        logits = features @ expected.weight.T + expected.bias
        F.cross_entropy(logits, torch.from_numpy(task.train.labels)).backward()
        theirs.step()
    torch.testing.assert_close(learner.weight, expected.weight, rtol=1e-4, atol=1e-5)


def test_the_last_batch_is_a_step_of_the_schedule(tmp_path: Path) -> None:
    recipe = Recipe(
        epochs=2,
        batch_size=4,
        drop_last=False,
        lr=0.1,
        optimizer="adamw",
        schedule="by step",
        warmup_epochs=0,
        augment=False,
    )
    learner, expected, task = tiny.linear(), tiny.linear(), tiny.task()
    run(learner, tmp_path, recipe)
    view, labels = View(task.train.images, tiny.backbone(), tiny.NO_CACHE), torch.from_numpy(task.train.labels)
    optimizer = torch.optim.AdamW(expected.parameters(), lr=0.1, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=6)
    sizes = []
    for epoch in (1, 2):
        for rows in batches(10, recipe, task.seed, epoch):
            sizes.append(len(rows))
            optimizer.zero_grad()
            logits = view.features(rows.tolist()) @ expected.weight.T + expected.bias
            F.cross_entropy(logits, labels[rows]).backward()
            optimizer.step()
            schedule.step()
    assert sizes == [4, 4, 2, 4, 4, 2]
    torch.testing.assert_close(learner.weight, expected.weight, rtol=1e-4, atol=1e-5)


def test_curves_hold_the_rate_the_loss_and_the_accuracy(tmp_path: Path) -> None:
    recipe = Recipe(epochs=4, batch_size=10, lr=0.02, warmup_lr=0.02, augment=False)
    curves = run(tiny.linear(), tmp_path, recipe).curves
    assert [curve["lr"] for curve in curves] == [learning_rate(recipe, epoch) for epoch in (1, 2, 3, 4)]
    assert all(curve["loss"] == pytest.approx(curve["cross_entropy"]) for curve in curves)
    assert all(0 <= curve["train_accuracy"] <= 1 for curve in curves)
    assert curves[-1]["loss"] < curves[0]["loss"]


def test_global_random_state_is_neither_read_nor_moved(tmp_path: Path) -> None:
    one, two = coop(), coop()
    torch.manual_seed(0)
    state = torch.get_rng_state()
    run(one, tmp_path / "one")
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(1)
    run(two, tmp_path / "two")
    assert same(one, two)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_trains_float32_parameters(tmp_path: Path, precision: Any) -> None:
    task = tiny.task()
    learner = CoOp(tiny.backbone(precision=precision), CoOpConfig(), task.classes, torch.Generator())
    before = learner.context.detach().clone()
    run(learner, tmp_path, RECIPE.model_copy(update={"epochs": 2}))
    assert learner.context.dtype is torch.float32
    assert learner.context.isfinite().all()
    assert not torch.equal(learner.context, before)
