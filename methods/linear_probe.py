"""Linear probe: logistic regression on frozen image features."""

import warnings
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.plugins.learner import About, CannotTransferError, Config, Images, Learner, Shots


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
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        x, y = shots.train.features.cpu().numpy(), shots.train_labels.cpu().numpy()
        if len(shots.train_labels.unique()) < 2:
            return
        val_x, val_y = x, y
        if len(shots.val):
            val_x, val_y = shots.val.features.cpu().numpy(), shots.val_labels.cpu().numpy()

        def fitted(strength: float) -> tuple[float, float, Any]:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                model = LogisticRegression(C=strength, max_iter=self.config.max_iter).fit(x, y)
            return float(model.score(val_x, val_y)), -strength, model

        def best(strengths: tuple[float, ...], known: list[tuple[float, float, Any]]) -> Any:
            return max([*known, *(fitted(strength) for strength in strengths)], key=lambda found: found[:2])

        found = best(self.config.strengths, [])
        factor = 10.0
        for _ in range(self.config.steps):
            centre = -found[1]
            found = best((centre / factor, centre * factor), [found])
            factor **= 0.5
        weight, bias = torch.from_numpy(found[2].coef_), torch.from_numpy(found[2].intercept_)
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
