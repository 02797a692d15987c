"""Scoring: right answers per class, in every reading a learner offers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor

from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.runs import Target
from promptarena.benchmark.inputs import views as inputs
from promptarena.benchmark.inputs.views import View
from promptarena.benchmark.plugins.learner import CannotTransferError, Learner
from promptarena.benchmark.training.evaluation import BATCH, Evaluated, evaluate, evaluate_together
from promptarena.methods.coop import CoOp, CoOpConfig
from promptarena.methods.maple import MaPLe, MaPLeConfig

CLASSES, TARGET = Classes(tiny.NAMES, tiny.TEMPLATE), Target("toy", "all")


class TwoReadings(tiny.Linear):
    """Reads its logits backwards too."""

    def readings(self, images: Any, classifier: Any) -> Mapping[str, Tensor]:
        logits = self.logits(images, classifier)
        return {"": logits, "backwards": logits.flip(-1)}


def test_every_reading_is_scored_on_the_same_images(tmp_path: Path) -> None:
    learner = TwoReadings(tiny.backbone(), TwoReadings.config_type(), CLASSES, torch.Generator().manual_seed(0))
    test, cache = tiny.examples(230, 3), tiny.cache(tmp_path)
    evaluated = evaluate(learner, TARGET, CLASSES, test, 3, cache)
    with torch.no_grad():
        images = View(test.images, learner.backbone, cache).batch(range(230))
        predicted = learner.logits(images, learner.classifier(None)).argmax(-1).numpy()
    own, backwards = evaluated.scores
    assert (own.reading, backwards.reading) == ("", "backwards")
    assert own.total == backwards.total == tuple(np.bincount(test.labels))
    assert own.correct == tuple(int((predicted[test.labels == label] == label).sum()) for label in range(3))
    assert backwards.correct == tuple(int((predicted[test.labels == label] == 2 - label).sum()) for label in range(3))
    assert evaluated.images == 230


def learners(method: str, count: int = 3) -> list[Learner]:
    generators = [torch.Generator().manual_seed(seed) for seed in range(count)]
    if method == "coop":
        return [CoOp(tiny.backbone(), CoOpConfig(ctx_init=""), CLASSES, generator) for generator in generators]
    if method == "maple":
        return [MaPLe(tiny.backbone(), MaPLeConfig(prompt_depth=3), CLASSES, generator) for generator in generators]
    return [Overwriting(tiny.backbone(), CoOpConfig(ctx_init=""), CLASSES, generator) for generator in generators]


class Overwriting(CoOp):
    """Looks at everything there is of an image, and writes into what it is given."""

    def image_features(self, images: Any) -> Tensor:
        seen = images.features + images.pixels.mean() + images.tokens_at(1).mean()
        for given in (images.features, images.pixels, images.tokens_at(1)):
            given.zero_()
        again: Tensor = seen + images.features + images.tokens_at(2).std()
        return again


@pytest.mark.parametrize("bounded", [False, True])
@pytest.mark.parametrize("method", ["coop", "maple", "overwriting"])
def test_learners_scored_together_are_scored_as_alone(
    method: str, bounded: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if bounded:
        monkeypatch.setattr(inputs, "LARGEST_CACHED_MIB", 0)
        monkeypatch.setattr(inputs, "LARGEST_PICTURES_MIB", 0)
    test, seen = tiny.examples(BATCH + 30, 3), dict[int, list[Tensor]]()
    found = learners(method)
    for number, learner in enumerate(found):
        plain = learner.logits
        learner.logits = lambda images, classifier, plain=plain, number=number: (
            seen.setdefault(number, []).append(plain(images, classifier)) or seen[number][-1]
        )
    together = evaluate_together(found, TARGET, CLASSES, test, 3, tiny.cache(tmp_path))
    logits = {number: torch.cat(parts) for number, parts in seen.items()}
    seen.clear()
    for number, learner in enumerate(found):
        alone = evaluate(learner, TARGET, CLASSES, test, 3, tiny.cache(tmp_path))
        assert isinstance(together[number], Evaluated)
        assert together[number].scores == alone.scores
        assert torch.equal(logits[number], torch.cat(seen[number]))
    assert not torch.equal(logits[0], logits[1])


@pytest.mark.parametrize("method", ["maple", "overwriting"])
def test_pictures_too_many_to_be_kept_are_decoded_once_for_all(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "LARGEST_CACHED_MIB", 0)
    monkeypatch.setattr(inputs, "LARGEST_PICTURES_MIB", 0)
    decoded = []
    for count in (1, 3):
        test = tiny.examples(BATCH + 30, 3)
        evaluate_together(learners(method, count), TARGET, CLASSES, test, 3, tiny.cache(tmp_path / str(count)))
        decoded.append(test.images.decoded)  # type: ignore[attr-defined]
    assert decoded[0] == decoded[1] > 0


def test_a_reading_that_raises_is_reported_and_the_others_are_scored(tmp_path: Path) -> None:
    class Untransferable(CoOp):
        def prompts(self, classes: Classes) -> Any:
            raise CannotTransferError("no such classes")

    class FailsLate(CoOp):
        def logits(self, images: Any, classifier: Any) -> Tensor:
            if len(images) < BATCH:
                raise ValueError("too few")
            return super().logits(images, classifier)

    whole, *_ = learners("coop")
    broken = [kind(tiny.backbone(), CoOpConfig(), CLASSES, torch.Generator()) for kind in (Untransferable, FailsLate)]
    test, cache = tiny.examples(BATCH + 30, 3), tiny.cache(tmp_path)
    first, second, third, last = evaluate_together([whole, *broken, whole], TARGET, CLASSES, test, 3, cache)
    alone = evaluate(whole, TARGET, CLASSES, test, 3, cache)
    assert isinstance(second, CannotTransferError)
    assert isinstance(third, ValueError)
    for found in (first, last):
        assert isinstance(found, Evaluated)
        assert found.scores == alone.scores
    with pytest.raises(ValueError, match="too few"):
        evaluate(broken[1], TARGET, CLASSES, test, 3, cache)


def test_no_learners_are_no_work(tmp_path: Path) -> None:
    test = tiny.examples(5, 3)
    assert evaluate_together([], TARGET, CLASSES, test, 3, tiny.cache(tmp_path)) == []
    assert test.images.decoded == 0  # type: ignore[attr-defined]
