"""What every registered method promises the harness, on a tiny CLIP of twelve blocks and with its published preset."""

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from safetensors.torch import load, save
from torch import Tensor

from promptarena.benchmark.inputs import View
from promptarena.benchmark.method import About, CannotTransferError, Classes, Config, Learner
from promptarena.benchmark.recipe import Recipe, TrainingTask
from promptarena.benchmark.registry import load_registry
from promptarena.benchmark.spec import PROTOCOLS
from promptarena.benchmark.training import train
from promptarena.benchmark.weights import weights_digest

METHODS = load_registry().methods
BACKBONE = tiny.backbone(layers=12)
TASK = tiny.task(count=12)
BASE, NOVEL = Classes(tiny.NAMES, tiny.TEMPLATE), Classes(tiny.NOVEL, tiny.TEMPLATE)
TEST = View(tiny.examples(6, 3, "test").images, BACKBONE, tiny.NO_CACHE)
ROWS = range(6)
each = pytest.mark.parametrize("name", METHODS)


def preset(name: str) -> tuple[Config, Recipe]:
    config, recipe = METHODS[name].learner.preset(tiny.training_task())
    return config, recipe.model_copy(update={"epochs": min(recipe.epochs, 2), "batch_size": 4})


def build(name: str, seed: int = 0) -> Learner:
    return METHODS[name].learner(BACKBONE, preset(name)[0], BASE, torch.Generator().manual_seed(seed))


@cache
def trained(name: str) -> Learner:
    learner = build(name)
    with tempfile.TemporaryDirectory() as folder:
        train(
            learner,
            preset(name)[1],
            TASK,
            cache=tiny.cache(Path(folder)),
            checkpoint=Path(folder) / "checkpoint.safetensors",
            train_key="key",
            on_epoch=lambda _: None,
        )
    return learner


def scores(learner: Learner, classes: Classes, rows: Any = ROWS) -> Tensor:
    """Logits as the harness asks for them; skips the test when the method cannot score these classes."""
    try:
        with torch.inference_mode():
            return learner.logits(TEST.batch(list(rows)), learner.classifier(learner.prompts(classes))).clone()
    except CannotTransferError as error:
        pytest.skip(f"cannot transfer: {error}")


def close(one: Tensor, other: Tensor) -> bool:
    return bool((one - other).abs().max() <= 1e-4 * one.abs().max())


@each
def test_its_card_and_settings_are_told(name: str) -> None:
    learner = METHODS[name].learner
    assert isinstance(learner.about, About)
    assert all((learner.about.title, learner.about.paper, learner.about.venue, learner.about.url))
    assert learner.__doc__
    for setting, field in learner.config_type.model_fields.items():
        assert field.description or setting in ("class_token_position",), setting


@each
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_has_a_preset(name: str, protocol: Any) -> None:
    learner = METHODS[name].learner
    for shots in (1, 2, 4, 8, 16):
        for is_source in (False, True):
            config, recipe = learner.preset(TrainingTask(protocol=protocol, shots=shots, is_source=is_source))
            assert isinstance(config, learner.config_type)
            assert learner.config_type.model_validate(config.model_dump(mode="json")) == config
            assert isinstance(recipe, Recipe)


@each
def test_gradients_reach_its_own_parameters_and_nothing_else(name: str) -> None:
    learner = build(name)
    parameters = list(learner.parameters())
    if preset(name)[1].epochs == 0:
        assert not parameters
        return
    logits, losses = learner.training_step(TEST.batch(ROWS), torch.arange(6) % 3, learner.prompts(BASE))
    assert logits.shape == (6, 3)
    assert all(loss.ndim == 0 for loss in losses.values())
    torch.stack(list(losses.values())).sum().backward()
    assert parameters
    for own, parameter in learner.named_parameters():
        assert parameter.requires_grad, own
        assert parameter.grad is not None, own
        assert parameter.grad.any(), own
    assert all(not weight.requires_grad and weight.grad is None for weight in BACKBONE.model.parameters())


@each
def test_training_leaves_the_backbone_as_it_is_and_changes_the_learner(name: str) -> None:
    learner = trained(name)
    assert weights_digest(BACKBONE.model.state_dict()) == BACKBONE.digest
    assert not BACKBONE.model.training
    before = build(name).state_dict()
    for own, tensor in learner.state_dict().items():
        assert not torch.equal(tensor, before[own]), own


@each
def test_it_saves_no_part_of_the_backbone(name: str) -> None:
    learner = trained(name)
    frozen = {weight.untyped_storage().data_ptr() for weight in BACKBONE.model.state_dict().values()}
    own = [*learner.state_dict().values(), *learner.parameters()]
    assert not frozen & {tensor.untyped_storage().data_ptr() for tensor in own}


@each
def test_a_saved_learner_scores_the_same_when_loaded(name: str) -> None:
    learner, other = trained(name), build(name, seed=9)
    other.load_state_dict(load(save({key: value.contiguous() for key, value in learner.state_dict().items()})))
    assert torch.equal(scores(other, BASE), scores(learner, BASE))


@each
def test_novel_classes_of_another_number_are_scored_or_refused(name: str) -> None:
    found = scores(trained(name), NOVEL)
    assert found.shape == (6, len(NOVEL))
    assert found.isfinite().all()


@each
def test_permuting_the_classes_permutes_the_logits(name: str) -> None:
    order = [2, 0, 1]
    permuted = Classes(tuple(BASE.names[label] for label in order), BASE.template)
    assert close(scores(trained(name), permuted), scores(trained(name), BASE)[:, order])


@each
def test_a_prediction_does_not_depend_on_its_batch(name: str) -> None:
    learner = trained(name)
    whole = scores(learner, BASE)
    alone = torch.cat([scores(learner, BASE, [row]) for row in ROWS])
    assert close(scores(learner, BASE, [5, 4, 3, 2, 1, 0]).flip(0), whole)
    assert close(alone, whole)
    assert torch.equal(alone.argmax(-1), whole.argmax(-1))


@each
def test_scoring_changes_nothing(name: str) -> None:
    learner = trained(name)
    before = {own: tensor.clone() for own, tensor in learner.state_dict().items()}
    one, other = scores(learner, BASE), scores(learner, BASE)
    assert torch.equal(one, other)
    assert all(torch.equal(tensor, before[own]) for own, tensor in learner.state_dict().items())


@each
def test_the_seed_alone_decides_the_initial_parameters(name: str) -> None:
    torch.manual_seed(1)
    one = build(name, seed=4).state_dict()
    torch.manual_seed(2)
    same, other = build(name, seed=4).state_dict(), build(name, seed=5).state_dict()
    assert one.keys() == same.keys() == other.keys()
    assert all(torch.equal(tensor, same[own]) for own, tensor in one.items())
    if not METHODS[name].learner.seeded:
        assert all(torch.equal(tensor, other[own]) for own, tensor in one.items())
