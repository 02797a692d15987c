"""Scoring: right answers per class, in every reading a learner offers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tiny
import torch
from torch import Tensor

from promptarena.benchmark.evaluation import evaluate
from promptarena.benchmark.inputs import View
from promptarena.benchmark.method import Classes
from promptarena.benchmark.spec import Target


class TwoReadings(tiny.Linear):
    """Reads its logits backwards too."""

    def readings(self, images: Any, classifier: Any) -> Mapping[str, Tensor]:
        logits = self.logits(images, classifier)
        return {"": logits, "backwards": logits.flip(-1)}


def test_every_reading_is_scored_on_the_same_images(tmp_path: Path) -> None:
    classes = Classes(tiny.NAMES, tiny.TEMPLATE)
    learner = TwoReadings(tiny.backbone(), TwoReadings.config_type(), classes, torch.Generator().manual_seed(0))
    test, cache = tiny.examples(230, 3), tiny.cache(tmp_path)
    evaluated = evaluate(learner, Target("toy", "all"), classes, test, 3, cache)
    with torch.no_grad():
        images = View(test.images, learner.backbone, cache).batch(range(230))
        predicted = learner.logits(images, learner.classifier(None)).argmax(-1).numpy()
    own, backwards = evaluated.scores
    assert (own.reading, backwards.reading) == ("", "backwards")
    assert own.total == backwards.total == tuple(np.bincount(test.labels))
    assert own.correct == tuple(int((predicted[test.labels == label] == label).sum()) for label in range(3))
    assert backwards.correct == tuple(int((predicted[test.labels == label] == 2 - label).sum()) for label in range(3))
    assert evaluated.images == 230
