"""Tip-Adapter: zero-shot logits plus a vote of cached training images; Tip-Adapter-F fine-tunes the cache's keys."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.recipe import Recipe, TrainingTask
from promptarena.benchmark.plugins.learner import About, CannotTransferError, Images, Shots
from promptarena.benchmark.plugins.templates import SELECT_7
from promptarena.methods.zeroshot import ZeroShot, ZeroShotConfig

RELEASED = {
    "imagenet": (1.17, 3, 7),
    "caltech101": (3, 5, 12),
    "oxford_pets": (1.17, 3, 7),
    "stanford_cars": (3, 10, 20),
    "oxford_flowers": (10, 50, 50),
    "food101": (1.17, 10, 10),
    "fgvc_aircraft": (5, 30, 30),
    "sun397": (1.17, 10, 12),
    "dtd": (2, 13, 13),
    "eurosat": (2, 10, 12),
    "ucf101": (3, 3, 7),
}
"""alpha, alpha_search and beta_search of each dataset; beta is 1 on all."""


class TipAdapterConfig(ZeroShotConfig):
    """Cache and search of Tip-Adapter."""

    alpha: float = Field(1.17, ge=0, description="weight of the cache; 0 is zero-shot")
    beta: float = Field(1.0, ge=0, description="sharpness of the affinity")
    alpha_search: float = Field(3.0, ge=0.1, description="S_a: 20 values of alpha from 0.1 up to below it are tried")
    beta_search: float = Field(7.0, ge=0.1, description="S_b: 200 values of beta from 0.1 up to below it are tried")
    passes: int = Field(10, ge=1, description="random views of each training image whose mean feature is its key")


class TipAdapter(ZeroShot):
    """Tip-Adapter, without training.

    Zhang et al., "Tip-Adapter: Training-free Adaption of CLIP for Few-shot Classification", ECCV 2022.

    Keys F (N, D) are the normalised mean features of the N training images over random views, values V (N, C) their
    one-hot labels, W (C, D) the zero-shot classifier. For a normalised image feature f (B, D)

        logits = s f W^T + alpha phi(f F^T) V,    phi(x) = exp(-beta (1 - x))

    alpha and beta are searched on the validation shots, never on test images; without any they stay as configured.
    Classes that are all among the trained ones take their columns of V; others are refused.
    """

    about = About(
        "Tip-Adapter",
        "Tip-Adapter: Training-free Adaption of CLIP for Few-shot Classification",
        "ECCV",
        2022,
        "https://arxiv.org/abs/2207.09519",
        parity="golden",
        assumed=("alpha, beta and their search on other datasets", "no search without validation images"),
    )
    config_type = TipAdapterConfig
    seeded = True
    config: TipAdapterConfig
    keys: Tensor
    labels: Tensor
    alpha: Tensor
    beta: Tensor

    def __init__(
        self, backbone: Backbone, config: TipAdapterConfig, classes: Classes, generator: torch.Generator
    ) -> None:
        super().__init__(backbone, config, classes, generator)
        self.trained_on = classes
        self.register_buffer("keys", torch.zeros(0, backbone.embed_dim))
        self.register_buffer("labels", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("alpha", torch.tensor(config.alpha))
        self.register_buffer("beta", torch.tensor(config.beta))

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[TipAdapterConfig, Recipe]:
        """alpha, the search and the templates as released for the dataset; crops as released."""
        config = TipAdapterConfig(templates=SELECT_7 if task.dataset == "imagenet" else ())
        if task.dataset in RELEASED:
            values = zip(("alpha", "alpha_search", "beta_search"), RELEASED[task.dataset], strict=True)
            config = config.model_copy(update={name: float(value) for name, value in values})
        return config, Recipe(epochs=0, batch_size=256, lr=0.0, crop_scale=(0.5, 1.0))

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Loads the saved cache, whatever its N."""
        for name in ("keys", "labels"):
            if name in state_dict:
                getattr(self, name).data = getattr(self, name).new_empty(state_dict[name].shape)
        return super().load_state_dict(state_dict, strict, assign)

    @torch.no_grad()
    def fit(self, shots: Shots) -> None:
        """Fill the cache: F from the sum over random views, whose direction is that of the mean, V from labels."""
        views = range(1, self.config.passes + 1)
        total = sum((shots.augmented(index).features for index in views), self.keys.new_zeros(()))
        self.keys.data = F.normalize(total, dim=-1)
        self.labels = shots.train_labels

    @torch.no_grad()
    def end_training(self, shots: Shots) -> None:
        """Search (beta, alpha) on the validation shots; of equally good pairs the first is used, smaller beta first."""
        if not len(shots.val):
            return
        f = F.normalize(self.image_features(shots.val), dim=-1)
        w, v = self.prompts(self.trained_on)
        zero_shot, best = self.similarity(f, w), -1
        for beta in _grid(self.config.beta_search, 200, f):
            votes = self.votes(f, v, beta)
            for alpha in _grid(self.config.alpha_search, 20, f):
                right = int(((zero_shot + alpha * votes).argmax(-1) == shots.val_labels).sum())
                if right > best:
                    best, self.alpha, self.beta = right, alpha, beta

    @torch.no_grad()
    def prompts(self, classes: Classes) -> Any:
        """W (C, D), normalised, and V (N, C). Raises CannotTransferError for classes without cached images."""
        known = self.trained_on.names
        if not set(classes.names) <= set(known):
            raise CannotTransferError("the cache holds no images of classes it was not trained on")
        columns = list(range(len(known)) if classes.names == known else map(known.index, classes.names))
        w = F.normalize(super().text_features(super().prompts(classes)), dim=-1)
        return w, F.one_hot(self.labels, len(known))[:, columns].float()

    def text_features(self, prompts: Any) -> Tensor:
        """(C, D): W."""
        w: Tensor = prompts[0]
        return w

    def classifier(self, prompts: Any) -> Any:
        """(W, V)."""
        return prompts

    def logits(self, images: Images, classifier: Any) -> Tensor:
        """(B, C): zero-shot logits and the weighted votes."""
        w, v = classifier
        f = F.normalize(self.image_features(images), dim=-1)
        return self.similarity(f, w) + self.alpha * self.votes(f, v, self.beta)

    def votes(self, f: Tensor, v: Tensor, beta: Tensor) -> Tensor:
        """(B, C) phi(f F^T) V in float32, because phi magnifies rounding errors of the cosines."""
        with torch.autocast(f.device.type, enabled=False):
            return (-beta * (1 - f.float() @ self.keys.T)).exp() @ v


class TipAdapterF(TipAdapter):
    """Tip-Adapter-F, with fine-tuned keys.

    Zhang et al., "Tip-Adapter: Training-free Adaption of CLIP for Few-shot Classification", ECCV 2022.

    Tip-Adapter whose keys F (N, D) are trained by cross-entropy from where the cache put them, at the configured alpha
    and beta, which are searched after the last epoch. W and V stay fixed, and the keys are not normalised again. The
    last step's keys are kept.
    """

    about = replace(
        TipAdapter.about,
        title="Tip-Adapter-F",
        assumed=(*TipAdapter.about.assumed, "one recipe for all protocols", "the last step is kept"),
    )

    def __init__(
        self, backbone: Backbone, config: TipAdapterConfig, classes: Classes, generator: torch.Generator
    ) -> None:
        super().__init__(backbone, config, classes, generator)
        del self.keys
        self.keys = nn.Parameter(torch.zeros(0, backbone.embed_dim))

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[TipAdapterConfig, Recipe]:
        """As released: AdamW, a cosine to 0 over all steps, 20 epochs of all shots, on EuroSAT 100."""
        config, _ = super().preset(task)
        return config, Recipe(
            epochs=100 if task.dataset == "eurosat" else 20,
            batch_size=256,
            drop_last=False,
            lr=1e-3,
            optimizer="adamw",
            eps=1e-4,
            weight_decay=0.01,
            schedule="by step",
            warmup_epochs=0,
            crop_scale=(0.5, 1.0),
        )


def _grid(limit: float, steps: int, like: Tensor) -> Tensor:
    """0.1 + i (limit - 0.1) / steps for i = 0 .. steps - 1."""
    return 0.1 + torch.arange(steps, device=like.device) * (limit - 0.1) / steps
