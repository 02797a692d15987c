"""PromptSRC's Gaussian average of its prompts over the epochs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from promptsrcs import CLASSES, promptsrc
from torch import Tensor

from promptarena.benchmark.core.recipe import Recipe
from promptarena.benchmark.training.loop import train
from promptarena.methods.ivlp import IVLP, IVLPConfig
from promptarena.methods.promptsrc import PromptSRC


def weights(epochs: int, mean: float, std: float) -> np.ndarray:
    """The weights of epochs 1, 2, ..., read off the average of prompts that are one-hot at their epoch."""
    learner = promptsrc(gpa_mean=mean, gpa_std=std)
    flat = learner.text_prompts[0].data.view(-1)
    recipe = Recipe(epochs=epochs, batch_size=4, lr=0.1)
    for epoch in range(1, epochs + 1):
        flat.zero_()[epoch - 1] = 1.0
        learner.end_epoch(epoch, recipe)
    assert not flat[epochs:].any()
    return flat[:epochs].numpy()


def test_weights_are_the_published_ones() -> None:
    found = weights(20, 15, 1)
    expected = {15: 0.399, 14: 0.242, 16: 0.242, 13: 0.054, 17: 0.054, 12: 0.00443, 18: 0.00443, 20: 1.5e-6}
    assert {epoch: found[epoch - 1] for epoch in expected} == pytest.approx(expected, rel=0.02)
    assert (found[:9] < 1e-7).all()
    wide = weights(20, 6, 10)
    assert [wide[0], wide[5], wide[19]] == pytest.approx([0.0554, 0.0628, 0.0236], abs=1e-4)


@pytest.mark.parametrize(
    ("epochs", "mean", "std"), [(20, 15, 1), (20, 6, 10), (50, 45, 5), (3, 45, 5), (2, 15, 1), (1, 900, 0.1)]
)
def test_weights_sum_to_one_even_when_the_mean_lies_beyond_the_last_epoch(epochs: int, mean: float, std: float) -> None:
    found = weights(epochs, mean, std)
    assert found.sum() == pytest.approx(1)
    assert found.argmax() == min(mean, epochs) - 1


def test_a_wide_gaussian_is_the_mean_and_a_narrow_one_a_single_epoch() -> None:
    assert weights(5, 3, 1e6) == pytest.approx(np.full(5, 0.2))
    assert weights(5, 3, 1e-3).tolist() == [0, 0, 1, 0, 0]


def test_prompts_that_stand_still_are_their_own_average() -> None:
    learner, before = promptsrc(), promptsrc()
    for epoch in range(1, 8):
        learner.end_epoch(epoch, Recipe(epochs=7, batch_size=4, lr=0.1))
    for prompt, start in zip(learner.parameters(), before.parameters(), strict=True):
        torch.testing.assert_close(prompt, start, rtol=1e-6, atol=0)


def run(learner: Any, folder: Path, epochs: int = 3, stop_after: int = 0) -> list[Tensor]:
    """Train with the harness's loop; the parameters after it. It breaks off after epoch `stop_after`."""

    def on_epoch(curve: Mapping[str, float]) -> None:
        if curve["epoch"] == stop_after:
            raise KeyboardInterrupt

    train(
        learner,
        Recipe(epochs=epochs, batch_size=4, lr=0.5, warmup_lr=0.5),
        tiny.task(count=8),
        cache=tiny.cache(folder),
        checkpoint=folder / "checkpoint.safetensors",
        train_key="key",
        on_epoch=on_epoch,
    )
    return [parameter.detach().clone() for parameter in learner.parameters()]


class _Spied(PromptSRC):
    """Keeps the live prompts after each epoch."""

    def end_epoch(self, epoch: int, recipe: Recipe) -> None:
        if epoch == 1:
            self.live: list[list[Tensor]] = []
        self.live.append([prompt.detach().clone() for prompt in self.parameters()])
        super().end_epoch(epoch, recipe)


def test_training_ends_with_the_weighted_prompts_of_its_epochs(tmp_path: Path) -> None:
    learner: Any = promptsrc(learner=_Spied, gpa_mean=2, gpa_std=1)
    found = run(learner, tmp_path)
    shares = np.exp([-0.5, 0, -0.5]) / np.exp([-0.5, 0, -0.5]).sum()
    for index, prompt in enumerate(found):
        expected = sum(share * epoch[index].double() for share, epoch in zip(shares, learner.live, strict=True))
        torch.testing.assert_close(prompt.double(), expected, rtol=1e-6, atol=1e-8)
        assert not torch.allclose(prompt, learner.live[-1][index], rtol=1e-3)


def test_the_average_survives_an_interruption(tmp_path: Path) -> None:
    whole = run(promptsrc(gpa_mean=2), tmp_path / "whole")
    for epoch in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            run(promptsrc(gpa_mean=2), tmp_path / str(epoch), stop_after=epoch)
        resumed = run(promptsrc(seed=9, gpa_mean=2), tmp_path / str(epoch))
        assert all(torch.equal(one, other) for one, other in zip(resumed, whole, strict=True))


class _Unregulated(PromptSRC):
    def training_step(self, images: Any, labels: Tensor, prompts: Any) -> tuple[Tensor, Mapping[str, Tensor]]:
        logits, terms = super().training_step(images, labels, prompts)
        return logits, {"cross_entropy": terms["cross_entropy"]}


def test_without_regulation_and_with_all_weight_on_the_last_epoch_it_is_ivlp(tmp_path: Path) -> None:
    same = {"n_ctx_text": 4, "n_ctx_vision": 4, "prompt_depth_text": 3, "prompt_depth_vision": 3}
    ivlp = IVLP(tiny.backbone(), IVLPConfig(**same), CLASSES, torch.Generator().manual_seed(0))
    expected = run(ivlp, tmp_path / "ivlp", epochs=2)
    learner = promptsrc(learner=_Unregulated, gpa_mean=2, gpa_std=1e-3)
    found = run(learner, tmp_path / "unregulated", epochs=2)
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    regulated = run(promptsrc(gpa_mean=2, gpa_std=1e-3), tmp_path / "regulated", epochs=2)
    assert not any(torch.equal(one, other) for one, other in zip(regulated, expected, strict=True))
