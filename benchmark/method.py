"""What a method plugin is: one file with a configuration and a learner.

A plugin subclasses `Learner`, fills in `about`, a `Config` and a recipe, and defines the few functions in which its
paper differs. It knows the backbone and its image inputs and nothing of data, devices, logging or protocols. Shapes:
B images, C classes, D the joint embedding size.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from promptarena.benchmark.backbone import Backbone
from promptarena.benchmark.recipe import Recipe, TrainingTask


class Config(BaseModel):
    """Base of a method's configuration: frozen, unknown keys refused. A field that its paper leaves open says
    "assumed"."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True)
class About:
    """The method's card: what `promptarena methods list` shows."""

    title: str
    paper: str
    venue: str
    year: int
    url: str


@dataclass(frozen=True)
class Classes:
    """Class names in label order (underscores already spaces) and the dataset's template with one `{}`."""

    names: tuple[str, ...]
    template: str

    def __len__(self) -> int:
        return len(self.names)

    def filled(self, template: str | None = None) -> list[str]:
        """The template, the dataset's own unless another is given, with each name in it."""
        return [(template or self.template).replace("{}", name) for name in self.names]


class Images(Protocol):
    """A batch of B images, computed only when asked for; frozen parts may come from a cache."""

    def __len__(self) -> int: ...

    @property
    def pixels(self) -> Tensor:
        """(B, 3, H, H) float32, normalised."""

    @property
    def features(self) -> Tensor:
        """(B, D) float32, the frozen image encoder's, not normalised."""

    def tokens_at(self, block: int) -> Tensor:
        """(B, 1 + P, W) float32, the frozen image tower's tokens in front of a block (0: behind the first layer
        norm)."""


class CannotTransferError(Exception):
    """Raised by `Learner.prompts` for classes that this learner cannot score; the message becomes the table's
    reason."""


class Learner(nn.Module):
    """Base of every method. Its parameters are what is trained and saved; the backbone is never among them.

    Calls, in order: `__init__`; per task `prompts`; per step `training_step`; per epoch `end_epoch`; per evaluation
    `classifier` once and `logits` per batch.
    """

    about: ClassVar[About]
    config_type: ClassVar[type[Config]] = Config
    seeded: ClassVar[bool] = True
    """False for a method that neither trains nor draws: it is run once, not once a seed."""

    def __init__(self, backbone: Backbone, config: Config, classes: Classes, generator: torch.Generator) -> None:
        """Draw the initial parameters for the training classes, on the CPU, from `generator` only."""
        super().__init__()
        self.backbone = backbone
        self.config = config

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[Config, Recipe]:
        """Configuration and recipe as published for this task; epochs = 0 (the default) trains nothing."""
        return cls.config_type(), Recipe(epochs=0, batch_size=100, lr=0.0, augment=False)

    def prompts(self, classes: Classes) -> Any:
        """What depends on the class names but not on parameters, e.g. tokenised texts. May raise
        CannotTransferError."""
        raise NotImplementedError(f"{type(self).__name__} does not define prompts")

    def text_features(self, prompts: Any) -> Tensor:
        """(C, D) class features, not normalised."""
        raise NotImplementedError(f"{type(self).__name__} does not define text_features")

    def image_features(self, images: Images) -> Tensor:
        """(B, D) image features, not normalised; the frozen encoder's unless overridden."""
        return images.features

    def classifier(self, prompts: Any) -> Any:
        """What does not depend on the images, computed once an evaluation: (C, D) normalised class features."""
        return F.normalize(self.text_features(prompts), dim=-1)

    def logits(self, images: Images, classifier: Any) -> Tensor:
        """(B, C): cosine similarities times exp(logit_scale)."""
        features: Tensor = self.backbone.scale * F.normalize(self.image_features(images), dim=-1)
        logits: Tensor = features @ classifier.T
        return logits

    def training_step(self, images: Images, labels: Tensor, prompts: Any) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Logits (B, C) and the named loss terms whose sum is minimised; labels: (B,) int64 in 0 .. C - 1."""
        logits = self.logits(images, self.classifier(prompts))
        return logits, {"cross_entropy": F.cross_entropy(logits.float(), labels)}

    def fit(self, train: Images, train_labels: Tensor, val: Images, val_labels: Tensor) -> None:
        """For closed-form methods: learn from all training images at once (test transform), in place of epochs."""

    def end_epoch(self, epoch: int, recipe: Recipe) -> None:
        """Called behind every epoch 1 .. recipe.epochs, e.g. to average prompts."""


def context_words(phrase: str) -> Sequence[str]:
    """The words of an initial phrase; "_" counts as a space."""
    return phrase.replace("_", " ").split()
