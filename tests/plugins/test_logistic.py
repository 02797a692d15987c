"""Logistic regression on a device is scikit-learn's up to rounding."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from promptarena.benchmark.plugins.logistic import logistic_regression

STRENGTHS = (1e-3, 1.0, 1e3)


def clouds(classes: int) -> tuple[Tensor, Tensor]:
    """Overlapping clouds of twelve features each."""
    random = torch.Generator().manual_seed(classes)
    labels = torch.arange(classes).repeat(12)
    return torch.randn(classes, 6, generator=random)[labels] + torch.randn(len(labels), 6, generator=random), labels


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("classes", [2, 3, 7])
def test_it_is_the_solution_of_scikit_learn(classes: int, strength: float, warm: bool) -> None:
    x, y = clouds(classes)
    start = logistic_regression(x, y, classes, 10 * strength, 2000) if warm else None
    rows = logistic_regression(x, y, classes, strength, 2000, start)
    model = LogisticRegression(C=strength, max_iter=2000).fit(x.numpy(), y.numpy())
    assert rows.shape == (*model.intercept_.shape, 7)

    def probabilities(weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
        logits = torch.from_numpy(x.numpy() @ weight.T + bias)
        return (torch.cat([torch.zeros_like(logits), logits], 1) if classes == 2 else logits).softmax(-1).numpy()

    found = probabilities(rows[:, :-1].numpy(), rows[:, -1].numpy())
    np.testing.assert_allclose(found, probabilities(model.coef_, model.intercept_), atol=0.02)


def test_it_is_not_disturbed_by_the_mode_of_its_caller() -> None:
    x, y = clouds(3)
    plain = logistic_regression(x, y, 3, 1.0, 50)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(logistic_regression(x, y, 3, 1.0, 50), plain)
