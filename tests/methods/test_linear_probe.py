"""Linear probe: multinomial logistic regression whose strength is chosen on validation images alone."""

from typing import Any

import numpy as np
import pytest
import tiny
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.plugins.learner import CannotTransferError
from promptarena.methods import linear_probe
from promptarena.methods.linear_probe import LinearProbe, LinearProbeConfig

NAMES = ("red fox", "zebra", "barn owl")


def clouds(count: int, classes: int, spread: float, seed: int) -> tuple[tiny.Given, Tensor]:
    """`count` features around the centre of each class."""
    centres = torch.randn(classes, 20, generator=torch.Generator().manual_seed(7))
    labels = torch.arange(classes).repeat(count)
    noise = spread * torch.randn(len(labels), 20, generator=torch.Generator().manual_seed(seed))
    return tiny.Given(centres[labels] + noise), labels


def probe(classes: int = 3, **config: Any) -> LinearProbe:
    settings = LinearProbeConfig(**({"steps": 2, "max_iter": 200} | config))
    return LinearProbe(tiny.backbone(), settings, Classes(NAMES[:classes], tiny.TEMPLATE), torch.Generator())


def logits(learner: LinearProbe, images: tiny.Given) -> Tensor:
    classes = Classes(learner.trained_on, tiny.TEMPLATE)
    return learner.logits(images, learner.classifier(learner.prompts(classes)))


@pytest.mark.parametrize("classes", [2, 3])
def test_it_separates_what_can_be_separated(classes: int) -> None:
    learner = probe(classes)
    learner.fit(tiny.Shots(*clouds(6, classes, 0.1, 0), *clouds(2, classes, 0.1, 1)))
    images, labels = clouds(5, classes, 0.1, 2)
    assert torch.equal(logits(learner, images).argmax(-1), labels)


@pytest.mark.parametrize("classes", [2, 3])
def test_its_probabilities_are_the_solvers(classes: int) -> None:
    learner = probe(classes, strengths=(0.1,), steps=0)
    (train, labels), (val, val_labels) = clouds(6, classes, 2.0, 0), clouds(2, classes, 2.0, 1)
    learner.fit(tiny.Shots(train, labels, val, val_labels))
    model = LogisticRegression(C=0.1, max_iter=200).fit(train.features.numpy(), labels.numpy())
    found = logits(learner, val).softmax(-1).detach().numpy()
    np.testing.assert_allclose(found, model.predict_proba(val.features.numpy()), atol=1e-4)


def test_the_smallest_of_the_best_strengths_on_validation_wins() -> None:
    strengths = (1e-6, 1e-3, 1.0, 1e3)
    (train, labels), (val, val_labels) = clouds(4, 3, 2.5, 0), clouds(8, 3, 2.5, 1)
    models = [LogisticRegression(C=c, max_iter=200).fit(train.features.numpy(), labels.numpy()) for c in strengths]
    scores = [model.score(val.features.numpy(), val_labels.numpy()) for model in models]
    assert len(set(scores)) > 1
    learner = probe(strengths=strengths, steps=0)
    learner.fit(tiny.Shots(train, labels, val, val_labels))
    expected = torch.from_numpy(models[int(np.argmax(scores))].coef_).float()
    torch.testing.assert_close(learner.weight, expected, rtol=1e-3, atol=1e-4)


def test_refining_never_loses_on_validation() -> None:
    (train, labels), (val, val_labels) = clouds(4, 3, 2.5, 0), clouds(8, 3, 2.5, 1)
    right = []
    for steps in (0, 4):
        learner = probe(steps=steps)
        learner.fit(tiny.Shots(train, labels, val, val_labels))
        right.append(int((logits(learner, val).argmax(-1) == val_labels).sum()))
    assert right[1] >= right[0]


def test_without_validation_images_it_is_chosen_on_the_training_shots() -> None:
    learner, (train, labels) = probe(), clouds(4, 3, 0.1, 0)
    learner.fit(tiny.Shots(train, labels, tiny.Given(torch.zeros(0, 20)), torch.zeros(0, dtype=torch.int64)))
    assert torch.equal(logits(learner, train).argmax(-1), labels)


def test_a_single_class_is_always_right() -> None:
    learner, (train, labels) = probe(1), clouds(4, 1, 0.1, 0)
    learner.fit(tiny.Shots(train, labels, train, labels))
    assert logits(learner, train).argmax(-1).tolist() == [0, 0, 0, 0]


def test_fitting_twice_gives_the_same_to_the_bit() -> None:
    one, two = probe(), probe()
    for learner in (one, two):
        learner.fit(tiny.Shots(*clouds(4, 3, 1.0, 0), *clouds(2, 3, 1.0, 1)))
    assert torch.equal(one.weight, two.weight)
    assert torch.equal(one.bias, two.bias)


@pytest.mark.parametrize("classes", [2, 3])
def test_a_large_problem_is_solved_on_the_device_with_the_same_outcome(
    classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, labels = clouds(8, classes, 1.0, 2)
    right = []
    for large in (linear_probe.LARGE, 0):
        monkeypatch.setattr(linear_probe, "LARGE", large)
        learner = probe(classes)
        learner.fit(tiny.Shots(*clouds(6, classes, 1.0, 0), *clouds(4, classes, 1.0, 1)))
        right.append(int((logits(learner, images).argmax(-1) == labels).sum()))
    assert abs(right[0] - right[1]) <= 1


@pytest.mark.parametrize("names", [("wren", "gnu"), NAMES[::-1]])
def test_it_has_no_row_for_other_classes(names: tuple[str, ...]) -> None:
    with pytest.raises(CannotTransferError, match="not trained on"):
        probe().prompts(Classes(names, tiny.TEMPLATE))


def test_it_is_not_trained_by_gradient() -> None:
    assert {name for name, _ in probe().named_parameters()} == {"weight", "bias"}
    assert LinearProbe.preset(tiny.training_task())[1].epochs == 0
