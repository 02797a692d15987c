"""TaskRes: a learned residual on the zero-shot class features."""

from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from promptarena.plugin import About, Backbone, CannotTransferError, Classes, Config, Learner, Recipe, TrainingTask


class TaskResConfig(Config):
    """Scale of the residual."""

    alpha: float = Field(0.5, ge=0, description="scale of the residual; 0 is zero-shot")


class TaskRes(Learner):
    """Task Residual Tuning.

    Yu et al., "Task Residual for Tuning Vision-Language Models", CVPR 2023.

    Class features are t + alpha x, with t (C, D) the frozen text features, not normalised, and x (C, D) learned, zero
    at first. Trained by cross-entropy. A residual belongs to its class: other classes are refused.
    """

    about = About(
        "TaskRes",
        "Task Residual for Tuning Vision-Language Models",
        "CVPR",
        2023,
        "https://arxiv.org/abs/2211.10277",
        parity="properties",
        assumed=("recipe outside few-shot", "one template on ImageNet"),
    )
    config_type = TaskResConfig
    config: TaskResConfig

    def __init__(self, backbone: Backbone, config: TaskResConfig, classes: Classes, generator: torch.Generator) -> None:
        super().__init__(backbone, config, classes, generator)
        self.trained_on = classes.names
        self.x = nn.Parameter(torch.zeros(len(classes), backbone.embed_dim))

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[TaskResConfig, Recipe]:
        """As released: 100 epochs, from 8 shots on 200; Adam at 2e-3, on ImageNet 2e-4; alpha 1 on the flowers."""
        epochs, lr = 200 if task.shots >= 8 else 100, 2e-4 if task.dataset == "imagenet" else 2e-3
        config = TaskResConfig(alpha=1.0 if task.dataset == "oxford_flowers" else 0.5)
        return config, Recipe(epochs=epochs, batch_size=256, lr=lr, optimizer="adam")

    @torch.no_grad()
    def prompts(self, classes: Classes) -> Tensor:
        """t (C, D). Raises CannotTransferError for any classes but those it was trained on, in their order."""
        if classes.names != self.trained_on:
            raise CannotTransferError("residuals exist only for the classes they were trained on")
        return self.backbone.encode_texts(classes.filled())

    def text_features(self, prompts: Any) -> Tensor:
        """(C, D): t + alpha x."""
        features: Tensor = prompts + self.config.alpha * self.x
        return features
