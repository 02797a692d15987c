"""2SFS: layer norms first, then a classifier, by stages of one training."""

from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from torch import Tensor

from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.recipe import Recipe, in_epochs
from promptarena.benchmark.inputs.views import PixelBatch
from promptarena.benchmark.training.loop import train
from promptarena.benchmark.training.shots import Task
from promptarena.methods.two_stage import TwoStage, TwoStageConfig
from promptarena.methods.zeroshot import ZeroShot, ZeroShotConfig

CLASSES = Classes(tiny.NAMES, tiny.TEMPLATE)
NOVEL = Classes(tiny.NOVEL, tiny.TEMPLATE)


def two_stage() -> TwoStage:
    return TwoStage(tiny.backbone(), TwoStageConfig(), CLASSES, torch.Generator().manual_seed(0))


def logits(learner: Any, classes: Classes = CLASSES) -> Tensor:
    images = PixelBatch(tiny.pixels(4), tiny.backbone())
    with torch.no_grad():
        return learner.logits(images, learner.classifier(learner.prompts(classes)))


def recipe(*iterations: int) -> Recipe:
    _, published = TwoStage.preset(tiny.training_task())
    changes = {"iterations": iterations, "batch_size": 5, "lr": 0.05, "augment": False}
    return in_epochs(published.model_copy(update=changes), 12)


def trained(folder: Path, plan: Recipe, stop: int | None = None) -> TwoStage:
    learner = two_stage()
    task = Task(CLASSES, tiny.examples(12, 3, "train 1"), tiny.examples(6, 3, "val 1"), 1)

    def on_epoch(curve: Any) -> None:
        if curve["epoch"] == stop:
            raise InterruptedError

    cache, checkpoint = tiny.cache(folder), folder / "checkpoint.safetensors"
    train(learner, plan, task, cache=cache, checkpoint=checkpoint, train_key="key", on_epoch=on_epoch)
    return learner


def test_it_starts_as_zero_shot_clip_with_its_own_template() -> None:
    plain = ZeroShot(tiny.backbone(), ZeroShotConfig(templates=("a photo of a {}.",)), CLASSES, torch.Generator())
    for classes in (CLASSES, NOVEL):
        assert torch.allclose(logits(two_stage(), classes), logits(plain, classes), atol=1e-4)


def test_what_each_stage_trains() -> None:
    learner = two_stage()
    first, second = learner.begin_stage(0), learner.begin_stage(1)
    blocks = (tiny.backbone().text, tiny.backbone().vision)
    assert sum(weight.numel() for weight in first.values()) == sum(4 * tower.depth * tower.width for tower in blocks)
    assert 4 * 12 * (512 + 768) == 61_440
    assert not any("ln_pre" in name or "ln_post" in name or "ln_final" in name for name in first)
    assert list(second) == ["head"]


def test_the_stages_of_a_training(tmp_path: Path) -> None:
    one = trained(tmp_path / "one", recipe(4))
    both = trained(tmp_path / "both", recipe(4, 4))
    assert all(torch.equal(weight, both.weights[name]) for name, weight in one.weights.items())
    assert not torch.equal(one.head, both.head)
    assert torch.equal(logits(one, NOVEL), logits(both, NOVEL))  # the second stage leaves novel classes alone
    assert not torch.allclose(logits(one, NOVEL), logits(two_stage(), NOVEL), atol=1e-3)
    tuned = one.similarity(
        torch.nn.functional.normalize(one.image_features(PixelBatch(tiny.pixels(4), tiny.backbone())), dim=-1),
        torch.nn.functional.normalize(one.text_features(one.prompts(CLASSES)), dim=-1),
    )
    assert torch.allclose(logits(one), tuned, atol=1e-4)  # where the second stage starts
    features = torch.nn.functional.normalize(one.text_features(one.prompts(CLASSES)), dim=-1)
    assert torch.allclose(one.head, features, atol=1e-5)
    assert not torch.allclose(logits(both), tuned, atol=1e-2)  # trained classes have the classifier's rows


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_a_training_resumed_in_any_stage_ends_the_same(tmp_path: Path, stop: int) -> None:
    plan = recipe(4, 4)
    assert plan.epochs == 4
    whole = trained(tmp_path / "whole", plan)
    with pytest.raises(InterruptedError):
        trained(tmp_path / "parts", plan, stop)
    resumed = trained(tmp_path / "parts", plan)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_a_mixed_set_has_the_logits_of_its_parts(tmp_path: Path) -> None:
    learner = trained(tmp_path, recipe(3, 3))
    mixed = Classes((NOVEL.names[0], CLASSES.names[1], NOVEL.names[2], CLASSES.names[0]), tiny.TEMPLATE)
    base, novel = logits(learner), logits(learner, NOVEL)
    expected = torch.stack([novel[:, 0], base[:, 1], novel[:, 2], base[:, 0]], dim=1)
    assert torch.allclose(logits(learner, mixed), expected, atol=1e-4)


def test_the_preset_is_the_released_one() -> None:
    _, published = TwoStage.preset(tiny.training_task("few-shot", 16))
    assert (published.iterations, published.batch_size, published.drop_last) == ((2880, 1920), 32, False)
    assert (published.optimizer, published.lr, published.final_lr, published.weight_decay) == (
        "adamw",
        2e-4,
        1e-6,
        1e-2,
    )
