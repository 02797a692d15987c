"""Training in fp16: a step whose scaled gradients overflow is left out, and the scale is halved."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from torch import Tensor
from training_runs import RECIPE, run, same

from promptarena.benchmark.core.classes import Classes

FIRST_SCALE = 65536.0


class Overflowing(tiny.Linear):
    """Its gradients are infinite while the loss scale is above `most`; it notes its parameters at every step."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.most = FIRST_SCALE
        self.seen: list[Tensor] = []
        self._loss = torch.ones(())

    def logits(self, images: Any, classifier: Any) -> Tensor:
        with torch.autocast("cpu", enabled=False):  # in fp16 they would overflow by themselves
            return super().logits(images, classifier)

    def training_step(self, images: Any, labels: Tensor, prompts: Any) -> Any:
        self.seen.append(self.weight.detach().clone())
        logits, losses = super().training_step(images, labels, prompts)
        self._loss = sum(losses.values()).detach()  # type: ignore[union-attr]
        return logits, losses

    def backward(self, losses: Mapping[str, Tensor]) -> None:
        super().backward(losses)
        if sum(losses.values()) / self._loss > 1.5 * self.most:
            for parameter in self.parameters():
                parameter.grad = torch.full_like(parameter, torch.inf)


def overflowing(most: float) -> Overflowing:
    backbone = tiny.backbone(precision="fp16")
    made = Overflowing(
        backbone, Overflowing.config_type(), Classes(tiny.NAMES, tiny.TEMPLATE), torch.Generator().manual_seed(0)
    )
    made.most = most
    return made


@pytest.mark.parametrize("limit", [None, 0.5])
@pytest.mark.parametrize("halvings", [0, 1, 3])
def test_steps_that_overflow_change_nothing_and_the_scale_is_halved(
    halvings: int, limit: float | None, tmp_path: Path
) -> None:
    learner = overflowing(FIRST_SCALE / 2**halvings)
    state = run(learner, tmp_path / "run", RECIPE.model_copy(update={"clip_gradient": limit}))
    assert state.scaler["scale"] == FIRST_SCALE / 2**halvings
    before, after = learner.seen[: halvings + 1], learner.seen[halvings + 1 :]
    assert all(torch.equal(each, learner.seen[0]) for each in before)
    assert not torch.equal(after[0], learner.seen[0])
    assert all(torch.isfinite(value).all() for value in learner.state_dict().values())


def test_a_resumed_training_goes_on_with_the_scale_it_had(tmp_path: Path) -> None:
    whole, halves = overflowing(FIRST_SCALE / 4), overflowing(FIRST_SCALE / 4)
    run(whole, tmp_path / "whole")

    def stop(curve: Mapping[str, float]) -> None:
        if curve["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(halves, tmp_path / "halves", on_epoch=stop)
    resumed = overflowing(FIRST_SCALE / 4)
    state = run(resumed, tmp_path / "halves")
    assert state.scaler["scale"] == FIRST_SCALE / 4
    assert same(resumed, whole)
