"""Seeds trained as one computation: each ends as alone, up to rounding, whatever interrupts or ends the others."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from stackable import RECIPE, SEEDS, linear

from promptarena.benchmark.core.recipe import Recipe
from promptarena.benchmark.plugins.learner import Learner
from promptarena.benchmark.plugins.registry import load_registry
from promptarena.benchmark.training.checkpoint import Checkpoint
from promptarena.benchmark.training.loop import NotFiniteError, train
from promptarena.benchmark.training.seed_batch import Member, can_train_together, train_together

SETTINGS: dict[str, dict[str, Any]] = {"dear": {"mask": "none"}}


def declared() -> list[str]:
    methods = load_registry(()).methods.values()
    return [method.name for method in methods if vars(method.learner).get("stackable")]


def member(learner: Learner, seed: int, folder: Path, on_epoch: Callable[[Any], None] = lambda _: None) -> Member:
    return Member(learner, tiny.task(seed=seed), folder / f"{seed}.safetensors", f"key {seed}", on_epoch)


def alone(learner: Learner, seed: int, folder: Path, recipe: Recipe = RECIPE, stop: int | None = None) -> Checkpoint:
    def heard(curve: Any) -> None:
        if curve["epoch"] == stop:
            raise KeyboardInterrupt

    return train(
        learner,
        recipe,
        tiny.task(seed=seed),
        cache=tiny.cache(folder),
        checkpoint=folder / f"{seed}.safetensors",
        train_key=f"key {seed}",
        on_epoch=heard,
    )


def close(one: Checkpoint, other: Any, rtol: float = 1e-4) -> None:
    assert isinstance(other, Checkpoint)
    assert one.epoch == other.epoch
    assert one.learner.keys() == other.learner.keys()
    assert one.optimizer.keys() == other.optimizer.keys()
    for found, expected in ((other.learner, one.learner), (other.optimizer, one.optimizer)):
        for name, tensor in expected.items():
            assert found[name].dtype == tensor.dtype
            off = (found[name].double() - tensor.double()).norm() / tensor.double().norm().clamp_min(1e-6)
            assert off < rtol, (name, float(off))
    for mine, theirs in zip(one.curves, other.curves, strict=True):
        assert mine == pytest.approx(theirs, rel=rtol, abs=1e-6)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("limit", [None, 0.01])
def test_every_seed_ends_as_alone(optimizer: Any, limit: float | None, tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(update={"optimizer": optimizer, "clip_gradient": limit, "weight_decay": 0.03})
    expected = [alone(linear(seed), seed, tmp_path / "alone", recipe) for seed in SEEDS]
    heard: dict[int, list[Any]] = {seed: [] for seed in SEEDS}
    members = [member(linear(seed), seed, tmp_path, heard[seed].append) for seed in SEEDS]
    found = train_together(members, recipe, tiny.cache(tmp_path))
    for seed, one, other, each in zip(SEEDS, expected, found, members, strict=True):
        close(one, other)
        assert [curve["epoch"] for curve in heard[seed]] == [1, 2, 3]
        kept = Checkpoint.load(each.checkpoint, each.train_key)
        assert kept is not None
        close(one, kept)
        assert torch.equal(kept.learner["weight"], each.learner.get_parameter("weight"))


@pytest.mark.parametrize("change", [{"epoch_steps": 1}, {"drop_last": False}], ids=str)
def test_epochs_of_other_lengths_are_as_alone(change: dict[str, Any], tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(update=change)
    assert recipe.steps(len(tiny.task().train.labels)) != RECIPE.steps(len(tiny.task().train.labels))
    assert RECIPE.steps(len(tiny.task().train.labels)) > 1
    expected = [alone(linear(seed), seed, tmp_path / "alone", recipe) for seed in SEEDS]
    found = train_together([member(linear(seed), seed, tmp_path) for seed in SEEDS], recipe, tiny.cache(tmp_path))
    for one, other in zip(expected, found, strict=True):
        close(one, other)


@pytest.mark.parametrize("method", declared())
def test_each_method_that_says_it_can_be_stacked_ends_as_alone(method: str, tmp_path: Path) -> None:
    kind = load_registry(()).get(method).learner
    config, recipe = kind.preset(tiny.training_task())
    config = config.model_validate(config.model_dump() | SETTINGS.get(method, {}))
    recipe = recipe.model_copy(update={"epochs": 2, "batch_size": 3})
    backbone, classes = tiny.backbone(layers=12), tiny.task().classes

    def learner(seed: int) -> Learner:
        return kind(backbone, config, classes, torch.Generator().manual_seed(seed))

    assert can_train_together(kind, recipe, "fp32")
    expected = [alone(learner(seed), seed, tmp_path / "alone", recipe) for seed in SEEDS]
    found = train_together([member(learner(seed), seed, tmp_path) for seed in SEEDS], recipe, tiny.cache(tmp_path))
    for one, other in zip(expected, found, strict=True):
        close(one, other)
    assert any(not torch.equal(expected[0].learner[name], expected[1].learner[name]) for name in expected[0].learner)


@pytest.mark.parametrize("method", declared())
def test_in_bf16_each_of_them_takes_the_steps_that_it_takes_alone(method: str, tmp_path: Path) -> None:
    kind = load_registry(()).get(method).learner
    config, recipe = kind.preset(tiny.training_task())
    config = config.model_validate(config.model_dump() | SETTINGS.get(method, {}))
    recipe = recipe.model_copy(update={"epochs": 1, "batch_size": 3})
    backbone, classes = tiny.backbone(layers=12, precision="bf16"), tiny.task().classes

    def learner(seed: int) -> Learner:
        return kind(backbone, config, classes, torch.Generator().manual_seed(seed))

    expected = [alone(learner(seed), seed, tmp_path / "alone", recipe) for seed in SEEDS[:2]]
    found = train_together([member(learner(seed), seed, tmp_path) for seed in SEEDS[:2]], recipe, tiny.cache(tmp_path))
    for one, other in zip(expected, found, strict=True):
        assert isinstance(other, Checkpoint)
        for mine, theirs in zip(one.curves, other.curves, strict=True):
            assert mine["loss"] == pytest.approx(theirs["loss"], rel=0.05)


def test_class_prompts_are_not_divided_where_they_cannot_be_computed_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a thousand classes, whose prompts a training alone encodes in parts."""
    kind = load_registry(()).get("coop").learner
    config, recipe = kind.preset(tiny.training_task())
    recipe = recipe.model_copy(update={"epochs": 1, "batch_size": 3})
    task = tiny.task()

    def learner(seed: int) -> Learner:
        return kind(tiny.backbone(), config, task.classes, torch.Generator().manual_seed(seed))

    expected = [alone(learner(seed), seed, tmp_path / "alone", recipe) for seed in SEEDS[:2]]
    monkeypatch.setattr("promptarena.benchmark.backbone.clip.text_memory", lambda device: 1)
    divided = alone(learner(SEEDS[0]), SEEDS[0], tmp_path / "divided", recipe)
    found = train_together([member(learner(seed), seed, tmp_path) for seed in SEEDS[:2]], recipe, tiny.cache(tmp_path))
    close(expected[0], divided)
    for one, other in zip(expected, found, strict=True):
        close(one, other)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_it_goes_on_from_trainings_alone_and_is_gone_on_with_alone(optimizer: Any, tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(update={"optimizer": optimizer})
    expected = [alone(linear(seed), seed, tmp_path / "alone", recipe) for seed in SEEDS]
    for seed, stop in zip(SEEDS, (1, 1, 2), strict=True):
        with pytest.raises(KeyboardInterrupt):
            alone(linear(seed), seed, tmp_path, recipe, stop)

    def stop_at_two(curve: Any) -> None:
        if curve["epoch"] == 2:
            raise KeyboardInterrupt

    members = [member(linear(seed), seed, tmp_path) for seed in SEEDS[:1]]
    members += [member(linear(seed), seed, tmp_path, stop_at_two) for seed in SEEDS[1:2]]
    with pytest.raises(KeyboardInterrupt):
        train_together(members, recipe, tiny.cache(tmp_path))
    for seed, one in zip(SEEDS[:2], expected, strict=False):
        close(one, alone(linear(seed), seed, tmp_path, recipe))
    for one, other in zip(
        expected,
        train_together([member(linear(seed), seed, tmp_path) for seed in SEEDS], recipe, tiny.cache(tmp_path)),
        strict=True,
    ):
        close(one, other)


def test_a_loss_that_is_not_finite_ends_its_own_seed_only(tmp_path: Path) -> None:
    def broken(seed: int) -> Learner:
        learner = linear(seed)
        if seed == 2:
            learner.get_parameter("weight").data[0, 0] = float("nan")
        return learner

    expected = [alone(linear(seed), seed, tmp_path / "alone") for seed in SEEDS]
    found = train_together([member(broken(seed), seed, tmp_path) for seed in SEEDS], RECIPE, tiny.cache(tmp_path))
    assert isinstance(found[1], NotFiniteError)
    for place in (0, 2):
        close(expected[place], found[place])
    kept = Checkpoint.load(tmp_path / "2.safetensors", "key 2")
    assert kept is not None
    assert kept.epoch == 0
