"""Skip Tuning: the upper blocks of both encoders trained, on the classes most like those of the batch."""

import math
import re
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from promptarena.benchmark.backbone.clip import Backbone, Prompts
from promptarena.benchmark.backbone.trainable import trainable
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.recipe import Recipe, TrainingTask
from promptarena.benchmark.plugins.edits import check_depth
from promptarena.benchmark.plugins.learner import About, Config, Images, Learner

TEMPLATES = {
    "imagenet-sketch": "a sketch of a {}.",
    "imagenet-a": "a bad photo of a {}.",
    "imagenet-r": "a rendition of a {}.",
    "caltech101": "itap of a {}.",
    "dtd": "itap of a {}.",
    "fgvc_aircraft": "a bright photo of a {}, a type of aircraft.",
    "food101": "a photo of the nice {}.",
    "oxford_flowers": "a close-up photo of a {}.",
    "oxford_pets": "a bad photo of a {}, a type of pet.",
    "stanford_cars": "a photo of the {}, a type of car.",
    "ucf101": "a photo of a {}, a type of sport.",
}
"""The released templates that are not the datasets' own."""


class SkipTuningConfig(Config):
    """What Skip Tuning trains and skips."""

    start: int = Field(6, ge=0, description="s, first trained block, counted from 0")
    top_share: float = Field(0.5, gt=0, le=1, description="share of the classes that is always kept; 1 skips none")
    top_limit: int = Field(50, ge=1, description="most classes that are always kept")
    decay: float = Field(0.3, gt=0, description="lambda, how slowly the chance of the other classes falls")
    image_factor: float = Field(0.25, ge=0, description="rate of the image encoder, in that of the text encoder")


@dataclass(frozen=True)
class Ranked:
    """Frozen tokens of the class texts before block s, and p (C, D), their normalised features before training."""

    tokens: Prompts
    prototypes: Tensor


class SkipTuning(Learner):
    """Skip Tuning.

    Wu et al., "Skip Tuning: Pre-trained Vision-Language Models are Effective and Efficient Adapters Themselves", CVPR
    2025.

    Blocks s and later, last norms and projections of both encoders are trained. In a step, classes are ranked: those of
    the batch first, then by max_b n(f_b) . p_c. The first m = min(ceil(C top_share), top_limit) ranks are
    kept, and rank m + j with the chance (e_j - e_last) / (e_0 - e_last), e_j = exp(-x_j / lambda), x = linspace(0, 5);
    which ranks is drawn once. Cross-entropy over the kept classes on exp(logit_scale) n(f) n(g)^T.
    """

    about = About(
        "Skip Tuning",
        "Skip Tuning: Pre-trained Vision-Language Models are Effective and Efficient Adapters Themselves",
        "CVPR",
        2025,
        "https://arxiv.org/abs/2412.11509",
        parity="golden",
        assumed=("weights kept in float32",),
    )
    config_type = SkipTuningConfig
    config: SkipTuningConfig
    ranks: Tensor

    def __init__(
        self, backbone: Backbone, config: SkipTuningConfig, classes: Classes, generator: torch.Generator
    ) -> None:
        super().__init__(backbone, config, classes, generator)
        check_depth("start", config.start, min(backbone.text.depth, backbone.vision.depth))
        self.tuned, self.weights = trainable(backbone, self._is_trained)
        count, kept = len(classes), min(math.ceil(config.top_share * len(classes)), config.top_limit)
        e = torch.exp(-torch.linspace(0, 5, count - kept) / config.decay)
        chances = (e - e[-1:]) / (e[:1] - e[-1:]).clamp_min(1e-12)
        drawn = torch.rand(count - kept, generator=generator) < chances
        self.register_buffer("ranks", torch.cat([torch.arange(kept), kept + drawn.nonzero()[:, 0]]))

    def _is_trained(self, name: str) -> bool:
        block = re.search(r"\btransformer\.resblocks\.(\d+)\.", name)
        last = ("ln_final.", "text_projection", "visual.ln_post.", "visual.proj")
        return int(block[1]) >= self.config.start if block else name.startswith(last)

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[SkipTuningConfig, Recipe]:
        """As released; a quarter of the epochs on the three largest datasets, one-class batches from 4 shots."""
        epochs, lr, factor, warmup_epochs, warmup_lr = 20, 2e-5, 0.25, 1, 1e-6
        if task.protocol in ("cross-dataset", "domain-generalization"):
            lr, factor, warmup_lr = 1e-5, 0.1, 1e-8
        elif task.protocol == "few-shot":
            epochs, lr, factor, warmup_epochs = 40, 1e-5, 1.0, 0
        if task.is_source or task.dataset in ("imagenet", "sun397", "food101"):
            epochs //= 4
        recipe = Recipe(epochs=epochs, batch_size=4, lr=lr, warmup_epochs=warmup_epochs, warmup_lr=warmup_lr)
        batches = {"one_class": task.shots >= 4, "factors_in_warmup": False}
        return SkipTuningConfig(image_factor=factor), recipe.model_copy(update=batches)

    def lr_factor(self, name: str) -> float:
        """That of the configuration for the image encoder."""
        return self.config.image_factor if name.startswith("weights.visual/") else 1.0

    def prompts(self, classes: Classes) -> Prompts:
        """The texts, run through the frozen blocks."""
        texts = classes.filled(TEMPLATES.get(classes.dataset))
        return self.backbone.frozen_below(self.backbone.prompts(texts), self.config.start)

    @torch.no_grad()
    def training_prompts(self, classes: Classes) -> Ranked:
        """The same, with the prototypes."""
        tokens = self.prompts(classes)
        return Ranked(tokens, F.normalize(self.backbone.encode_text(tokens), dim=-1))

    def text_features(self, prompts: Any) -> Tensor:
        """(C, D), by the trained text encoder."""
        return self.tuned.encode_text(prompts)

    def image_features(self, images: Images) -> Tensor:
        """(B, D), by the trained image encoder."""
        return self.tuned.image_features_from(images.tokens_at(self.config.start), start=self.config.start)

    @torch.no_grad()
    def kept(self, f: Tensor, labels: Tensor, prototypes: Tensor) -> Tensor:
        """(K,) the classes of a step, rising, given normalised f (B, D), labels (B,) and p (C, D)."""
        scores = (f.float() @ prototypes.float().T).amax(dim=0)
        return scores.index_fill(0, labels, 1e4).argsort(descending=True, stable=True)[self.ranks].sort().values

    def training_step(self, images: Images, labels: Tensor, prompts: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits (B, C), the smallest possible for skipped classes, and the cross-entropy over the kept ones. An image
        whose own class is skipped, as a batch of more classes than are kept has, does not count."""
        f = F.normalize(self.image_features(images), dim=-1)
        kept = self.kept(f, labels, prompts.prototypes)
        tokens = replace(prompts.tokens, embeddings=prompts.tokens.embeddings[kept], eot=prompts.tokens.eot[kept])
        logits = self.similarity(f, self.classifier(tokens))
        own = labels[:, None] == kept
        targets = own.int().argmax(dim=1).masked_fill(~own.any(dim=1), -100)
        skipped = (-self.backbone.scale).to(logits.dtype).repeat(len(labels), len(prompts.prototypes))
        return skipped.index_copy(1, kept, logits.detach()), {"cross_entropy": F.cross_entropy(logits.float(), targets)}
