"""A device whose memory is too small: evaluations and caches take smaller batches, a training ends in one line."""

from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from torch import Tensor
from training_runs import RECIPE, run

from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.runs import Target
from promptarena.benchmark.inputs.transforms import Augmentation
from promptarena.benchmark.inputs.views import View
from promptarena.benchmark.training import evaluation
from promptarena.benchmark.training.evaluation import evaluate, evaluate_together

CLASSES, TARGET = Classes(tiny.NAMES, tiny.TEMPLATE), Target("toy", "all")


def full() -> torch.OutOfMemoryError:
    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.\nSee the documentation.")


class Bounded(tiny.Linear):
    """Fits `most` images at a time."""

    most = 7

    def logits(self, images: Any, classifier: Any) -> Tensor:
        if len(images) > self.most:
            raise full()
        return super().logits(images, classifier)


def bounded(most: int) -> Bounded:
    learner = Bounded(tiny.backbone(), Bounded.config_type(), CLASSES, torch.Generator().manual_seed(0))
    learner.most = most
    return learner


@pytest.mark.parametrize("most", [1, 7, 99])
def test_an_evaluation_goes_on_with_smaller_batches(
    most: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    test, cache = tiny.examples(230, 3), tiny.cache(tmp_path)
    alone = evaluate(bounded(1000), TARGET, CLASSES, test, 3, cache, keep=True)
    found = evaluate(bounded(most), TARGET, CLASSES, test, 3, cache, keep=True)
    assert found.scores == alone.scores
    assert found.images == 230
    for one, other in zip(found.predictions, alone.predictions, strict=True):
        assert (one.top == other.top).all()
        assert (one.images == other.images).all()
    sizes = [100, 50, 25, 13, 7, 4, 2, 1]
    smaller = sizes[1 : sizes.index(max(size for size in sizes if size <= most)) + 1]
    assert [record.getMessage().split("going on with ")[1] for record in caplog.records] == [*map(str, smaller)]


def test_an_image_that_does_not_fit_fails_one_learner_in_one_line(tmp_path: Path) -> None:
    test, cache = tiny.examples(12, 3), tiny.cache(tmp_path)
    failed, other = evaluate_together([bounded(0), bounded(3)], TARGET, CLASSES, test, 3, cache)
    assert isinstance(failed, UserError)
    assert str(failed).startswith("scoring an image does not fit into the memory of cpu; ")
    assert isinstance(other, evaluation.Evaluated)
    assert other.scores == evaluate(bounded(1000), TARGET, CLASSES, test, 3, cache).scores


class Wordy(tiny.Linear):
    """Fits no classes."""

    def classifier(self, prompts: Any) -> Any:
        raise full()


def test_texts_that_do_not_fit_say_how_many_classes_there_are(tmp_path: Path) -> None:
    wordy = Wordy(tiny.backbone(), Wordy.config_type(), CLASSES, torch.Generator())
    (failed,) = evaluate_together([wordy], TARGET, CLASSES, tiny.examples(3, 3), 3, tiny.cache(tmp_path))
    assert str(failed).startswith("encoding the texts of 3 classes does not fit into")


@pytest.mark.parametrize("augmented", [False, True])
def test_a_cache_is_filled_in_smaller_parts(augmented: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone, images = tiny.backbone(), tiny.examples(70, 3).images
    drawn = Augmentation(1, 1, (0.5, 1.0), RECIPE.augmentation) if augmented else None
    whole = View(images, backbone, tiny.cache(tmp_path / "whole"), drawn).tokens_at(1, range(70))
    plain, most = type(backbone).image_tokens, 5

    def bounded_tokens(self: Any, pixels: Tensor, **kinds: Any) -> Tensor:
        if len(pixels) > most:
            raise full()
        return plain(self, pixels, **kinds)

    monkeypatch.setattr(type(backbone), "image_tokens", bounded_tokens)
    found = View(images, backbone, tiny.cache(tmp_path / "parts"), drawn).tokens_at(1, range(70))
    torch.testing.assert_close(found, whole)


class Large(tiny.Linear):
    """Its step does not fit."""

    def training_step(self, images: Any, labels: Tensor, prompts: Any) -> Any:
        raise full()


def test_a_training_that_does_not_fit_ends_in_one_line(tmp_path: Path) -> None:
    large = Large(tiny.backbone(), Large.config_type(), CLASSES, torch.Generator().manual_seed(0))
    with pytest.raises(UserError) as raised:
        run(large, tmp_path)
    said = str(raised.value)
    assert said.startswith(f"a training step of {RECIPE.batch_size} images and 3 classes does not fit into the memory")
    assert "\n" not in said
