"""MMRL: shared representation tokens in the upper blocks of both towers, which give a second image feature."""

import copy
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from promptarena.benchmark.backbone.clip import Backbone, Prompts
from promptarena.benchmark.backbone.towers import Edit
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.recipe import Recipe, TrainingTask
from promptarena.benchmark.plugins.edits import check_depth, drawn_context, drawn_linear, insert, overwrite
from promptarena.benchmark.plugins.learner import About, Config, Images, Learner, assumed

LAMBDA = {
    "stanford_cars": 7.0,
    "fgvc_aircraft": 6.0,
    "sun397": 6.0,
    "dtd": 6.0,
    "food101": 5.0,
    "oxford_flowers": 4.0,
    "ucf101": 3.0,
    "imagenet": 0.5,
    "caltech101": 0.5,
    "oxford_pets": 0.2,
    "eurosat": 0.01,
}
"""The released regularisation weights, tuned per dataset."""


class MMRLConfig(Config):
    """Representation tokens and losses of MMRL."""

    n_rep_tokens: int = Field(5, ge=1, description="K, representation tokens")
    rep_layers: tuple[int, ...] = Field(
        (6, 7, 8, 9, 10, 11, 12), min_length=1, description="J .. L, layers with tokens, counted from 1, rising"
    )
    rep_dim: int = Field(512, ge=1, description="d_r, width of the shared representation space")
    alpha: float = Field(0.7, ge=0, le=1, description="weight of the class branch against the representation branch")
    reg_weight: float = assumed(
        0.5, ge=0, description="lambda, weight of the cosine losses; released for eleven datasets, 0.5 for others"
    )

    @model_validator(mode="after")
    def _rising_layers(self) -> Self:
        if self.rep_layers[0] < 1 or any(later <= earlier for earlier, later in pairwise(self.rep_layers)):
            raise ValueError(f"rep_layers {self.rep_layers} must rise from 1 or more")
        return self


@dataclass(frozen=True)
class ClassTokens:
    """Frozen tokens (C, L, W_text) before the first layer with representation tokens, whether the classes are
    those trained on, and, for training only, the frozen class features w_0 (C, D)."""

    tokens: Prompts
    trained_on: bool
    w_0: Tensor | None = None


@dataclass(frozen=True)
class Classifier:
    """Normalised class features (C, D), and whether both image branches may be used for them."""

    features: Tensor
    fused: bool


class MMRL(Learner):
    """Multi-Modal Representation Learning.

    Guo and Gu, "MMRL: Multi-Modal Representation Learning for Vision-Language Models", CVPR 2025.

    Tokens R: (K, d_r) of a shared space enter layers i = J .. L of both towers through aligners F^v_i, F^t_i (linear).
    They follow the class token (vision) or the start token (text), are inserted at layer J and overwritten at each
    later one. Image features are f_c, from the class token, and f_r = mean_k LN(token_k) W_r with W_r: (W_vision,
    D); w is the class feature. Frozen CLIP gives f_0 and w_0:

        L = alpha CE(s f_c w^T) + (1 - alpha) CE(s f_r w^T) + lambda (1 - cos(f_c, f_0)) + lambda (1 - cos(w, w_0))

    all normalised, cosines averaged. Classes that were trained on are scored by alpha s f_c w^T + (1 - alpha) s f_r
    w^T, all others, and other datasets, by s f_c w^T alone.
    """

    about = About(
        "MMRL",
        "MMRL: Multi-Modal Representation Learning for Vision-Language Models",
        "CVPR",
        2025,
        "https://arxiv.org/abs/2503.08497",
        parity="golden",
    )
    config_type = MMRLConfig
    config: MMRLConfig
    stackable = True

    def __init__(self, backbone: Backbone, config: MMRLConfig, classes: Classes, generator: torch.Generator) -> None:
        super().__init__(backbone, config, classes, generator)
        check_depth("rep_layers", config.rep_layers[-1], min(backbone.text.depth, backbone.vision.depth))
        self.blocks = [layer - 1 for layer in config.rep_layers]
        width = backbone.vision.width
        self.r = nn.Parameter(drawn_context(config.rep_dim, config.n_rep_tokens, generator))
        self.f_v = self._aligners(width, generator)
        self.f_t = self._aligners(backbone.text.width, generator)
        self.w_r = nn.Parameter(torch.randn(width, backbone.embed_dim, generator=generator) * width**-0.5)
        self.trained_on = _identity(classes)

    def _aligners(self, width: int, generator: torch.Generator) -> nn.ModuleList:
        """One linear map d_r -> width for each layer, all starting equal."""
        drawn = drawn_linear(self.config.rep_dim, width, generator)
        return nn.ModuleList(copy.deepcopy(drawn) for _ in self.blocks)

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[MMRLConfig, Recipe]:
        """As released; lambda and, on EuroSAT, the width d_r are those tuned for the dataset."""
        epochs, batch_size, warmup_epochs = 10, 4, 1
        config = MMRLConfig(
            reg_weight=LAMBDA.get(task.dataset, 0.5), rep_dim=2048 if task.dataset == "eurosat" else 512
        )
        if task.protocol in ("cross-dataset", "domain-generalization"):
            config, epochs, batch_size, warmup_epochs = MMRLConfig(reg_weight=0.2), 1, 32, 0
        elif task.is_source:
            epochs, batch_size = 5, 32
        elif task.protocol == "few-shot":
            epochs, batch_size = 50, 32
        return config, Recipe(
            epochs=epochs,
            batch_size=batch_size,
            lr=1e-3,
            optimizer="adamw",
            warmup_epochs=warmup_epochs,
            crop_scale=(0.5, 1.0),
        )

    def prompts(self, classes: Classes) -> ClassTokens:
        """The dataset's template with each name, run through the frozen layers before the first one with tokens."""
        tokens = self.backbone.frozen_below(self.backbone.prompts(classes.filled()), self.blocks[0])
        return ClassTokens(tokens, _identity(classes) == self.trained_on)

    def training_prompts(self, classes: Classes) -> ClassTokens:
        """The same, with the frozen class features."""
        with torch.no_grad():
            w_0 = self.backbone.encode_texts(classes.filled()).float()
        return replace(self.prompts(classes), w_0=w_0)

    def text_features(self, prompts: Any) -> Tensor:
        """(C, D): w."""
        return self.backbone.encode_text(prompts.tokens, edits=self._edits(self.f_t))

    def image_features(self, images: Images) -> Tensor:
        """(B, D): f_c."""
        return self.both_image_features(images)[0]

    def both_image_features(self, images: Images) -> tuple[Tensor, Tensor]:
        """f_c and f_r, each (B, D), not normalised."""
        first = self.blocks[0]
        tokens = images.tokens_at(first)
        rows = torch.arange(1 + self.config.n_rep_tokens, device=tokens.device)[None]
        tokens = self.backbone.vision.read(tokens, rows, start=first, edits=self._edits(self.f_v))
        representation = self.backbone.normalize_image(tokens[:, 1:])
        return self.backbone.project_image(tokens[:, 0]), representation.mean(dim=1) @ self.w_r

    def _edits(self, aligners: nn.ModuleList) -> dict[int, Edit]:
        """R mapped by the aligners: inserted as rows 1 .. K at the first block, overwritten at the later ones."""
        aligned = [aligner(self.r) for aligner in aligners]
        first = {self.blocks[0]: insert(aligned[0], 1)}
        return first | {block: overwrite(rows, 1) for block, rows in zip(self.blocks[1:], aligned[1:], strict=True)}

    def branches(self, images: Images, class_features: Tensor) -> tuple[Tensor, Tensor]:
        """The logits (B, C) of the class and of the representation branch, given normalised w (C, D)."""
        f_c, f_r = (F.normalize(features, dim=-1) for features in self.both_image_features(images))
        return self.similarity(f_c, class_features), self.similarity(f_r, class_features)

    def fuse(self, logits_c: Tensor, logits_r: Tensor) -> Tensor:
        """Both branches (B, C), weighted by alpha."""
        return self.config.alpha * logits_c + (1 - self.config.alpha) * logits_r

    def classifier(self, prompts: Any) -> Classifier:
        """Normalised w and the decision between the two ways to score."""
        return Classifier(F.normalize(self.text_features(prompts), dim=-1), prompts.trained_on)

    def logits(self, images: Images, classifier: Any) -> Tensor:
        """(B, C): both branches for the classes that were trained on, else the class branch."""
        logits_c, logits_r = self.branches(images, classifier.features)
        return self.fuse(logits_c, logits_r) if classifier.fused else logits_c

    def training_step(self, images: Images, labels: Tensor, prompts: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """A cross-entropy for each branch, and the cosine losses that keep f_c and w close to the frozen features."""
        alpha, weight = self.config.alpha, self.config.reg_weight
        f_c, f_r = self.both_image_features(images)
        w = self.text_features(prompts)
        class_features = F.normalize(w, dim=-1)
        logits_c, logits_r = (self.similarity(F.normalize(f, dim=-1), class_features) for f in (f_c, f_r))
        return self.fuse(logits_c, logits_r), {
            "ce_class": alpha * F.cross_entropy(logits_c.float(), labels),
            "ce_rep": (1 - alpha) * F.cross_entropy(logits_r.float(), labels),
            "cos_image": weight * (1 - F.cosine_similarity(f_c.float(), images.features).mean()),
            "cos_text": weight * (1 - F.cosine_similarity(w.float(), prompts.w_0).mean()),
        }


def _identity(classes: Classes) -> tuple[frozenset[str], str]:
    """What identifies a set of classes: its names in any order, and its dataset."""
    return frozenset(classes.names), classes.dataset
