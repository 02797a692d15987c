"""Novel classes as images that a learner of the base classes does not know."""

import numpy as np
import pytest
from drawn_predictions import of_logits
from sklearn.metrics import roc_auc_score

from promptarena.benchmark.analysis.novelty import NOVELTY


def test_novel_classes_are_detected_by_the_base_classes_alone() -> None:
    random = np.random.default_rng(3)
    labels = np.arange(90) % 9
    logits = random.normal(20, 2, (90, 9)).astype(np.float32)
    logits[np.arange(90), labels] += 3
    found, base = of_logits(logits, labels, base=5, subset="union"), logits[:, :5].astype(float)
    mass = np.log(np.exp(base).sum(axis=1))
    scores = (base.max(axis=1) - mass, base.max(axis=1), mass)
    expected = [100 * roc_auc_score(labels < 5, score) for score in scores]
    assert NOVELTY.measure(found)[::2] == pytest.approx(expected, abs=0.1)
