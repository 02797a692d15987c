"""What is kept of logits: the largest, the label's and their log-sum-exp, also where logits are equal."""

from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from drawn_predictions import of_logits

from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.runs import Target
from promptarena.benchmark.training import predicting
from promptarena.benchmark.training.evaluation import BATCH, evaluate
from promptarena.benchmark.training.predicting import Collector

TARGET = Target("food", "all")
KINDS = {
    "drawn": lambda random, shape: random.normal(20, 2, shape),
    "equal": lambda random, shape: np.full(shape, 3.0),
    "few values": lambda random, shape: random.integers(0, 3, shape).astype(float),
    "wide": lambda random, shape: random.normal(0, 300, shape),
    "signed zeros": lambda random, shape: random.choice([-0.0, 0.0], shape),
}


@pytest.mark.parametrize("chunk", [1, 60, 1 << 18])
@pytest.mark.parametrize("classes", [2, 5, 6, 40])
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_what_sorting_all_logits_gives(
    kind: str, classes: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predicting, "CHUNK", chunk)
    random = np.random.default_rng(classes)
    logits = KINDS[kind](random, (50, classes)).astype(np.float32)
    labels = random.integers(0, classes, 50)
    base = (classes + 1) // 2
    collector = Collector(torch.from_numpy(labels), classes, base)
    for part in torch.from_numpy(logits).split(17):
        collector.add(part)
        part.fill_(torch.nan)  # a learner may use its memory again
    expected = of_logits(KINDS[kind](np.random.default_rng(classes), (50, classes)), labels, base=base)
    found = collector.predictions(TARGET, "", expected.classes, expected.images)
    for name in ("labels", "top", "logits", "label_logit", "rank"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    np.testing.assert_allclose(found.log_sum_exp, expected.log_sum_exp, rtol=1e-12, atol=1e-6)
    assert found.halves is not None
    assert expected.halves is not None
    for name in ("base_logit", "rank"):
        np.testing.assert_array_equal(getattr(found.halves, name), getattr(expected.halves, name))
    np.testing.assert_allclose(found.square_sum, expected.square_sum, rtol=1e-5)
    np.testing.assert_allclose(found.halves.base_log_sum_exp, expected.halves.base_log_sum_exp, rtol=1e-6, atol=1e-6)


def test_a_sure_prediction_keeps_what_little_doubt_there_is() -> None:
    """In float32 the log-sum-exp of these logits is the largest of them: the other probability would be lost."""
    collector = Collector(torch.tensor([0]), 2, None)
    collector.add(torch.tensor([[40.0, 20.0]]))
    found = collector.predictions(TARGET, "", ("a", "b"), np.array(["image"]))
    doubt = -np.expm1(found.label_logit.astype(float) - found.log_sum_exp)
    assert doubt == pytest.approx(np.exp(-20.0), rel=1e-6)


def test_an_evaluation_keeps_what_it_counts(tmp_path: Path) -> None:
    learner, classes = tiny.linear(), Classes(tiny.NAMES, tiny.TEMPLATE, "food")
    test, cache = tiny.examples(2 * BATCH + 30, 3), tiny.cache(tmp_path)
    outcome = evaluate(learner, TARGET, classes, test, 3, cache, keep=True)
    plain = evaluate(learner, TARGET, classes, test, 3, cache)
    assert outcome.scores == plain.scores
    assert plain.predictions == ()
    (found,) = outcome.predictions
    (score,) = outcome.scores
    assert found.counts() == (score.correct, score.total)
    assert found.classes == classes.names
    assert found.images.tolist() == [test.images.key(row) for row in range(len(test.labels))]
    np.testing.assert_array_equal(found.labels, test.labels)
