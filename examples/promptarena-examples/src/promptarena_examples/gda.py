"""GDA: Gaussian discriminant analysis of frozen features, beside the zero-shot classifier."""

from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from promptarena.methods.zeroshot import ZeroShot, ZeroShotConfig
from promptarena.plugin import About, CannotTransferError, Classes, Images, Recipe, Shots, TrainingTask


class GDAConfig(ZeroShotConfig):
    """Views and search."""

    views: int = Field(10, ge=1, description="random views of each training image; all are samples")
    alphas: tuple[float, ...] = Field(
        (0.1, 1e-4, 1e-3, 0.01, 1, 10, 100), min_length=1, description="tried in order; the first without validation"
    )


class GDA(ZeroShot):
    """Gaussian discriminant analysis (Wang et al., "A Hard-to-Beat Baseline ...", ICLR 2024).

    With mu (C, D) the class means of N normalised features and Sigma (D, D) their covariance around them,

        P = D ((N - 1) Sigma + tr(Sigma) I)^-1,    w = mu P,    b_c = log 1/C - mu_c P mu_c^T / 2,
        logits = s f g^T + alpha (f w^T + b),    g (C, D) the zero-shot features, alpha searched on validation shots.
    """

    about = About(
        "GDA",
        "A Hard-to-Beat Baseline for Training-free CLIP-based Adaptation",
        "ICLR",
        2024,
        "https://openreview.net/forum?id=Js5PJPHDyY",
        parity="properties",
        assumed=("one template on ImageNet",),
    )
    config_type = GDAConfig
    seeded = True
    config: GDAConfig
    w: Tensor
    b: Tensor
    alpha: Tensor

    def __init__(self, backbone: Any, config: GDAConfig, classes: Classes, generator: torch.Generator) -> None:
        super().__init__(backbone, config, classes, generator)
        self.trained_on = classes
        for name, shape in {"w": (len(classes), backbone.embed_dim), "b": (len(classes),), "alpha": ()}.items():
            self.register_buffer(name, torch.zeros(shape))

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[GDAConfig, Recipe]:
        """Nothing is trained by gradient; the random views are cropped as in the release."""
        return GDAConfig(), Recipe(epochs=0, batch_size=256, lr=0.0, crop_scale=(0.5, 1.0))

    @torch.no_grad()
    def fit(self, shots: Shots) -> None:
        """w and b in closed form, then alpha: the first of equally good ones on the validation shots."""
        views = [shots.augmented(index).features for index in range(1, self.config.views + 1)]
        f = F.normalize(torch.cat(views), dim=-1).double()
        y = F.one_hot(shots.train_labels.repeat(len(views)), len(self.b)).double()
        mu = y.T @ f / y.sum(0)[:, None]
        sigma, (n, d) = (f - y @ mu).T.cov(), f.shape
        w = d * mu @ torch.linalg.pinv((n - 1) * sigma + sigma.trace() * torch.eye(d).to(f), hermitian=True)
        self.w.copy_(w)
        self.b.copy_(-torch.tensor(len(mu)).log() - (w * mu).sum(-1) / 2)
        self.alpha.fill_(max(self.config.alphas, key=lambda alpha: self._right(alpha, shots)))

    def _right(self, alpha: float, shots: Shots) -> int:
        self.alpha.fill_(alpha)
        scores = self.logits(shots.val, self.classifier(self.prompts(self.trained_on)))
        return int((scores.argmax(-1) == shots.val_labels).sum())

    def prompts(self, classes: Classes) -> Any:
        """Raises CannotTransferError for any classes but those it was trained on."""
        if classes.names != self.trained_on.names:
            raise CannotTransferError("a Gaussian exists only for the classes it was estimated from")
        return super().prompts(classes)

    def logits(self, images: Images, classifier: Any) -> Tensor:
        """(B, C): zero-shot logits and the weighted discriminants."""
        f = F.normalize(images.features, dim=-1)
        return super().logits(images, classifier) + self.alpha * (f @ self.w.T + self.b)
