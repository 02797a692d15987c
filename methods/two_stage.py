"""2SFS: first the layer norms of both towers are trained, then a classifier on what they give."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from promptarena.benchmark.backbone.clip import Backbone, Prompts
from promptarena.benchmark.backbone.trainable import trainable
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.recipe import Recipe, TrainingTask
from promptarena.benchmark.plugins.learner import About, Config, Images, Learner


class TwoStageConfig(Config):
    """Texts of 2SFS."""

    template: str = Field("a photo of a {}.", description="used for every dataset")


@dataclass(frozen=True)
class Selected:
    """The texts of all classes; which of them the trained classifier has, (C,) bool; and their rows there, (C,)."""

    texts: Prompts
    held: Tensor
    rows: Tensor


def _is_block_norm(name: str) -> bool:
    return ".ln_1." in name or ".ln_2." in name


class TwoStage(Learner):
    """Two-Stage Few-Shot Adaptation.

    Farina et al., "Rethinking Few-Shot Adaptation of Vision-Language Models in Two Stages", CVPR 2025.

    The first stage trains the weights and biases of both layer norms of every block of both towers, by cross-entropy on
    exp(logit_scale) n(f) n(g)^T. The second trains a classifier W: (C, D), which starts as the normalised features of
    the tuned text encoder, on exp(logit_scale) n(f) n(W)^T, with f frozen. A class that W has is scored with its row,
    any other with the tuned feature of its text.
    """

    about = About(
        "2SFS",
        "Rethinking Few-Shot Adaptation of Vision-Language Models in Two Stages",
        "CVPR",
        2025,
        "https://arxiv.org/abs/2503.11609",
        parity="golden",
        assumed=("cross-dataset and domain-generalization recipe", "the second stage begins a new epoch"),
    )
    config_type = TwoStageConfig
    config: TwoStageConfig
    ready: Tensor

    def __init__(
        self, backbone: Backbone, config: TwoStageConfig, classes: Classes, generator: torch.Generator
    ) -> None:
        super().__init__(backbone, config, classes, generator)
        self.tuned, self.weights = trainable(backbone, _is_block_norm)
        _ = self.tuned.vision.depth  # the layer norms of both towers are tuned: a ResNet is refused here
        with torch.no_grad():
            features = backbone.encode_texts(classes.filled(config.template)).float()
        self.head = nn.Parameter(F.normalize(features, dim=-1))
        self.register_buffer("ready", torch.tensor(False))
        self.trained_on = classes
        self.stage = 0

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[TwoStageConfig, Recipe]:
        """As released: 300 iterations a shot, 60 % in the first stage; the same for transfer (assumed)."""
        return TwoStageConfig(), Recipe(
            epochs=1,
            iterations=(180 * task.shots, 120 * task.shots),
            batch_size=32,
            drop_last=False,
            lr=2e-4,
            final_lr=1e-6,
            optimizer="adamw",
            weight_decay=1e-2,
            schedule="by step",
            warmup_epochs=0,
        )

    def begin_stage(self, stage: int) -> dict[str, nn.Parameter]:
        """The layer norms in stage 0, the classifier in stage 1."""
        self.stage = stage
        return {name: each for name, each in self.named_parameters() if (name == "head") == (stage == 1)}

    @torch.no_grad()
    def end_stage(self, stage: int) -> None:
        """After stage 0 the classifier becomes the tuned class features."""
        if stage == 0:
            texts = self.tuned.prompts(self.trained_on.filled(self.config.template))
            self.head.copy_(F.normalize(self.tuned.encode_text(texts).float(), dim=-1))
            self.ready.fill_(True)

    def prompts(self, classes: Classes) -> Selected:
        """The template with each name, and the classes that the classifier has, by name."""
        known = {name: row for row, name in enumerate(self.trained_on.names)}
        rows = [known.get(name, -1) for name in classes.names]
        row_of = torch.tensor(rows, device=self.backbone.device)
        texts = self.tuned.prompts(classes.filled(self.config.template))
        return Selected(texts, row_of >= 0, row_of.clamp_min(0))

    def text_features(self, prompts: Any) -> Tensor:
        """(C, D), by the tuned text encoder."""
        return self.tuned.encode_text(prompts.texts)

    def image_features(self, images: Images) -> Tensor:
        """(B, D), by the tuned image encoder."""
        return self.tuned.encode_image(images.pixels)

    def classifier(self, prompts: Any) -> Tensor:
        """(C, D) normalised: after stage 0 the classifier's rows where it has the class, else tuned class features."""
        tuned = F.normalize(self.text_features(prompts), dim=-1)
        own = F.normalize(self.head, dim=-1)[prompts.rows].to(tuned.dtype)
        return torch.where(prompts.held[:, None] & self.ready, own, tuned)

    def training_step(self, images: Images, labels: Tensor, prompts: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits (B, C) and cross-entropy: of the tuned encoders in stage 0, of the classifier in stage 1."""
        with torch.set_grad_enabled(self.stage == 0):
            f = F.normalize(self.image_features(images), dim=-1)
        if self.stage == 0:
            classes = F.normalize(self.text_features(prompts), dim=-1)
        else:
            classes = F.normalize(self.head, dim=-1).to(f.dtype)
        logits = self.similarity(f, classes)
        return logits, {"cross_entropy": F.cross_entropy(logits.float(), labels)}
