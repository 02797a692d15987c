"""A training that is interrupted ends as if nothing had happened."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from torch import Tensor
from training_runs import RECIPE, coop, run, same

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.plugins.learner import Learner
from promptarena.benchmark.training.checkpoint import Checkpoint
from promptarena.benchmark.training.loop import NotFiniteError


class StoppedError(Exception):
    pass


def interrupt_after(epoch: int) -> Callable[[Any], None]:
    def stop(curve: Any) -> None:
        if curve["epoch"] == epoch:
            raise StoppedError

    return stop


INTERRUPTIONS = [(tiny.linear, optimizer, epoch) for optimizer in ("sgd", "adam", "adamw") for epoch in (1, 2, 3, 4)]


@pytest.mark.parametrize(("build", "optimizer", "epoch"), [*INTERRUPTIONS, (coop, "sgd", 2), (coop, "adam", 3)])
def test_an_interrupted_training_ends_as_an_undisturbed_one(
    tmp_path: Path, build: Callable[[], Learner], optimizer: Any, epoch: int
) -> None:
    recipe = RECIPE.model_copy(update={"optimizer": optimizer})
    undisturbed, stopped, resumed = build(), build(), build()
    expected = run(undisturbed, tmp_path / "whole", recipe)
    with pytest.raises(StoppedError):
        run(stopped, tmp_path / "halves", recipe, interrupt_after(epoch))
    assert epoch == 4 or not same(stopped, undisturbed)
    heard: list[Any] = []
    found = run(resumed, tmp_path / "halves", recipe, heard.append)
    assert same(resumed, undisturbed)
    assert tuple(heard) == found.curves == expected.curves
    assert [curve["epoch"] for curve in heard] == [1, 2, 3, 4]
    assert found.optimizer.keys() == expected.optimizer.keys()
    assert all(torch.equal(found.optimizer[name], expected.optimizer[name]) for name in found.optimizer)


def test_a_finished_training_is_not_trained_again(tmp_path: Path) -> None:
    first, again = tiny.linear(), tiny.linear(seed=5)
    expected = run(first, tmp_path)
    again.training_step = None  # type: ignore[assignment, method-assign]
    assert run(again, tmp_path).train_seconds == expected.train_seconds
    assert same(first, again)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_and_keeps_the_epoch_before(tmp_path: Path, value: float) -> None:
    class Breaking(tiny.Linear):
        steps = 0

        def training_step(self, images: Any, labels: Tensor, prompts: Any) -> Any:
            self.steps += 1
            logits, losses = super().training_step(images, labels, prompts)
            return logits, {name: loss * (value if self.steps > 3 else 1.0) for name, loss in losses.items()}

    task = tiny.task()
    learner = Breaking(tiny.backbone(), tiny.linear().config, task.classes, torch.Generator())
    with pytest.raises(NotFiniteError, match="epoch 2"):
        run(learner, tmp_path)
    kept = Checkpoint.load(tmp_path / "checkpoint.safetensors", "key")
    assert kept is not None
    assert kept.epoch == 1
    assert all(tensor.isfinite().all() for tensor in kept.learner.values())


def test_a_foreign_checkpoint_is_refused(tmp_path: Path) -> None:
    run(tiny.linear(), tmp_path)
    with pytest.raises(UserError, match="belongs to another training; delete it"):
        run(tiny.linear(), tmp_path, key="other")
