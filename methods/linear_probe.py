"""Linear probe: logistic regression on frozen image features."""

import warnings
from math import log
from typing import Any, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.plugins.learner import About, CannotTransferError, Config, Images, Learner, Shots
from promptarena.benchmark.plugins.logistic import logistic_regression

LARGE = 10**9
"""Images times features times classes, from which one core takes hours with scikit-learn: ImageNet's are 8e9."""


class LinearProbeConfig(Config):
    """Regularisation search."""

    strengths: tuple[float, ...] = Field(
        (1e-6, 1e-4, 1e-2, 1.0, 1e2, 1e4, 1e6), min_length=1, description="inverse L2 strengths tried first, ascending"
    )
    steps: int = Field(8, ge=0, description="refinements, each trying half a step below and above the best (log scale)")
    max_iter: int = Field(1000, ge=1, description="of L-BFGS")


class LinearProbe(Learner):
    """Linear probe.

    Radford et al., ICML 2021 (section 3.2), few-shot protocol of CoOp's appendix.

    logits = f W^T + b with f (B, D) the frozen image features (not normalised), W (C, D), b (C,): multinomial logistic
    regression by L-BFGS whose inverse L2 strength is searched on the validation shots, never on test images; a dataset
    without validation images is searched on its training shots (assumed). It has no classifier for classes it was not
    trained on.
    """

    about = About(
        "Linear probe",
        "Learning Transferable Visual Models From Natural Language Supervision",
        "ICML",
        2021,
        "https://arxiv.org/abs/2103.00020",
        parity="properties",
        assumed=("ties go to the stronger regularisation", "features are not normalised"),
    )
    config_type = LinearProbeConfig
    config: LinearProbeConfig

    def __init__(
        self, backbone: Backbone, config: LinearProbeConfig, classes: Classes, generator: torch.Generator
    ) -> None:
        super().__init__(backbone, config, classes, generator)
        self.trained_on = classes.names
        self.weight = nn.Parameter(torch.zeros(len(classes), backbone.embed_dim))
        self.bias = nn.Parameter(torch.zeros(len(classes)))

    def fit(self, shots: Shots) -> None:
        """Search the strength on the validation shots; of equally good ones the smallest. A single class needs none."""
        x, y = shots.train.features, shots.train_labels
        if len(y.unique()) < 2:
            return
        val_x, val_y = (shots.val.features, shots.val_labels) if len(shots.val) else (x, y)
        small = x.device.type == "cpu" and len(x) * x.shape[1] * len(self.trained_on) < LARGE
        fit = _by_scikit_learn if small else _on_device
        known: list[_Fitted] = []

        def best(strengths: tuple[float, ...]) -> _Fitted:
            for strength in strengths:
                known.append(fit(x, y, val_x, val_y, strength, self.config.max_iter, known))
            return max(known, key=lambda found: (found.right, -found.strength))

        found = best(self.config.strengths)
        factor = 10.0
        for _ in range(self.config.steps):
            found = best((found.strength / factor, found.strength * factor))
            factor **= 0.5
        weight, bias = found.rows[:, :-1], found.rows[:, -1]
        if len(weight) == 1:  # for two classes the solver gives only the logit of the second relative to the first
            weight, bias = torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2
        self.weight.data.copy_(weight)
        self.bias.data.copy_(bias)

    def prompts(self, classes: Classes) -> Classes:
        """The classes themselves; raises CannotTransferError for any but those it was trained on."""
        if classes.names != self.trained_on:
            raise CannotTransferError("a linear head has no row for classes it was not trained on")
        return classes

    def classifier(self, prompts: Any) -> tuple[Tensor, Tensor]:
        """(W, b)."""
        return self.weight, self.bias

    def logits(self, images: Images, classifier: Any) -> Tensor:
        """(B, C): f W^T + b."""
        weight, bias = classifier
        with torch.autocast(weight.device.type, enabled=False):
            logits: Tensor = images.features @ weight.T + bias
        return logits


class _Fitted(NamedTuple):
    """A solution: its strength, the share of validation images that are right, and (R, D + 1) weights and biases."""

    strength: float
    right: float
    rows: Tensor


def _by_scikit_learn(
    x: Tensor, y: Tensor, val_x: Tensor, val_y: Tensor, strength: float, max_iter: int, known: list[_Fitted]
) -> _Fitted:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(C=strength, max_iter=max_iter).fit(x.numpy(), y.numpy())
    rows = torch.cat([torch.from_numpy(model.coef_), torch.from_numpy(model.intercept_)[:, None]], dim=1)
    return _Fitted(strength, float(model.score(val_x.numpy(), val_y.numpy())), rows)


def _on_device(
    x: Tensor, y: Tensor, val_x: Tensor, val_y: Tensor, strength: float, max_iter: int, known: list[_Fitted]
) -> _Fitted:
    """Starts from the known solution of the nearest strength, which saves most of the iterations."""
    nearest = min(known, key=lambda other: abs(log(other.strength / strength)), default=None)
    start = None if nearest is None else nearest.rows
    rows = logistic_regression(x, y, int(y.max()) + 1, strength, max_iter, start)
    weight, bias = rows[:, :-1].to(x.device), rows[:, -1].to(x.device)
    logits = val_x @ weight.T + bias
    predicted = logits.argmax(-1) if len(rows) > 1 else (logits[:, 0] > 0).long()
    return _Fitted(strength, float((predicted == val_y).double().mean()), rows)
