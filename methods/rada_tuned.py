"""RAda with both encoders trained."""

import copy
from dataclasses import replace
from typing import Any, Self

import torch
from torch import Tensor

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.recipe import Recipe, TrainingTask
from promptarena.benchmark.plugins.learner import Images
from promptarena.methods.rada import RAda, RAdaConfig


class RAdaTuned(RAda):
    """RAda, full fine-tuning.

    Chen et al., "One Last Attention for Your Vision-Language Model", ICCV 2025.

    RAda's mask, logits and loss over a copy of both encoders that is trained along with the attention, which has 10
    times the encoders' learning rate. The logit scale stays frozen.
    """

    about = replace(
        RAda.about,
        title="RAda (full fine-tuning)",
        parity="properties",
        assumed=("the whole recipe", "frozen logit scale", "trained on the shots, not on a whole dataset"),
    )

    def __init__(self, backbone: Backbone, config: RAdaConfig, classes: Classes, generator: torch.Generator) -> None:
        super().__init__(backbone, config, classes, generator)
        self.encoders = copy.deepcopy(backbone.model)
        self.tuned = Backbone(
            self.encoders,
            backbone.name,
            backbone.digest,
            backbone.device,
            backbone.precision,
            backbone.mean,
            backbone.std,
            backbone.origin,
        )
        del self.encoders.logit_scale
        self.encoders.requires_grad_(True)

    def train(self, mode: bool = True) -> Self:
        """As usual, but the encoders stay in evaluation mode, so that batch norms keep their statistics."""
        super().train(mode)
        self.encoders.eval()
        return self

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[RAdaConfig, Recipe]:
        """A usual recipe of full fine-tuning (assumed)."""
        return cls.config_type(), Recipe(epochs=10, batch_size=512, lr=1e-5, optimizer="adamw", weight_decay=0.1)

    def lr_factor(self, name: str) -> float:
        """10 for the attention, 1 for the encoders."""
        return 10.0 if name.startswith("attention.") else 1.0

    def prompts(self, classes: Classes) -> Tensor:
        """(C, L) token ids of the template with each name."""
        return self.tuned.tokenize(classes.filled(self.config.template))

    def text_features(self, prompts: Any) -> Tensor:
        """(C, D), by the trained text encoder."""
        return self.tuned.encode_text(self.tuned.embed(prompts))

    def image_features(self, images: Images) -> Tensor:
        """(B, D), by the trained image encoder."""
        return self.tuned.encode_image(images.pixels)
