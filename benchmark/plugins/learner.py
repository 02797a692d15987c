"""What a method plugin is: one file with a configuration and a learner.

A plugin subclasses `Learner`, fills in `about`, a `Config` and a recipe, and defines the few functions in which its
paper differs. It knows the backbone and its image inputs and nothing of data, devices, logging or protocols. Shapes:
B images, C classes, D the joint embedding size.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.recipe import Recipe, TrainingTask


class Config(BaseModel):
    """Base of a method's configuration: frozen, unknown keys refused. A field that its paper leaves open is declared
    with `assumed`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def assumed(default: Any, *, description: str, **limits: Any) -> Any:
    """A pydantic Field whose default is ours, because the paper and its code leave it open; listed as assumed."""
    return Field(default, description=description, json_schema_extra={"assumed": True}, **limits)


def assumed_settings(config_type: type[Config]) -> tuple[str, ...]:
    """The names of the fields declared with `assumed`."""
    extras = {name: field.json_schema_extra for name, field in config_type.model_fields.items()}
    return tuple(name for name, extra in extras.items() if isinstance(extra, dict) and extra.get("assumed"))


@dataclass(frozen=True)
class About:
    """The method's card: what `promptarena methods list` shows.

    parity: how it is known to compute what its authors' code does: "golden" (vectors of the official code),
    "properties" (statements of the paper, against naive code), or "unverified". assumed: choices that neither paper nor
    code settle, beside the settings declared with `assumed`, a few words each.
    """

    title: str
    paper: str
    venue: str
    year: int
    url: str
    parity: Literal["golden", "properties", "unverified"] = "unverified"
    assumed: tuple[str, ...] = ()


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


class Shots(Protocol):
    """The labelled images drawn for a training, for a learner that looks at all of them at once."""

    @property
    def train(self) -> Images:
        """All N training images under the test transform."""

    @property
    def train_labels(self) -> Tensor:
        """(N,) int64 in 0 .. C - 1."""

    @property
    def val(self) -> Images:
        """All validation images under the test transform; may be empty."""

    @property
    def val_labels(self) -> Tensor:
        """int64 in 0 .. C - 1."""

    def augmented(self, index: int) -> Images:
        """The training images under random view 1, 2, ...; with a recipe that does not augment, the test transform."""


class CannotTransferError(Exception):
    """Raised by `Learner.prompts` for classes that this learner cannot score; the message becomes the table's
    reason."""


class Learner(nn.Module):
    """Base of every method. Its parameters are what is trained and saved; the backbone is never among them.

    Calls, in order: `__init__`; `fit`; `training_prompts`; per step `training_step` and `backward`; per epoch
    `end_epoch`; `end_training`; per evaluation `prompts` and `classifier` once and `logits` per batch.
    """

    about: ClassVar[About]
    config_type: ClassVar[type[Config]] = Config
    seeded: ClassVar[bool] = True
    """False for a method that neither trains nor draws: it is run once, not once a seed."""
    ablations: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Settings that take parts of the method away, by the name of the ablation."""
    stackable: ClassVar[bool] = False
    """True for a method whose `training_step` `torch.vmap` can run for several seeds at once: no draws, no branches on
    values of tensors, the loss terms' sum as what is minimised, and nothing that differs by seed but parameters and
    buffers. Not inherited."""
    image_conditioned: ClassVar[bool] = False
    """True for a method whose class features depend on the image, so that `logits` has to encode text."""

    def __init__(self, backbone: Backbone, config: Config, classes: Classes, generator: torch.Generator) -> None:
        """Draw the initial parameters for the training classes, on the CPU, from `generator` only."""
        super().__init__()
        self.backbone = backbone
        self.config = config

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[Config, Recipe]:
        """Configuration and recipe as published for this task; epochs = 0 (the default) trains nothing."""
        return cls.config_type(), Recipe(epochs=0, batch_size=100, lr=0.0, augment=False)

    @classmethod
    def reads(cls, config: Any, backbone_digest: str) -> Mapping[str, Path]:
        """Files that decide figures beside the configuration, by what they are; their content enters the run's key.
        Raises UserError when one is missing."""
        return {}

    def prompts(self, classes: Classes) -> Any:
        """What depends on the class names but not on parameters, e.g. tokenised texts. May raise
        CannotTransferError."""
        raise NotImplementedError(f"{type(self).__name__} does not define prompts")

    def training_prompts(self, classes: Classes) -> Any:
        """What `training_step` is given, made once a training: `prompts`, or these and what only training needs."""
        return self.prompts(classes)

    def text_features(self, prompts: Any) -> Tensor:
        """(C, D) class features, not normalised."""
        raise NotImplementedError(f"{type(self).__name__} does not define text_features")

    def image_features(self, images: Images) -> Tensor:
        """(B, D) image features, not normalised; the frozen encoder's unless overridden."""
        return images.features

    def classifier(self, prompts: Any) -> Any:
        """What does not depend on the images, computed once an evaluation: (C, D) normalised class features."""
        return F.normalize(self.text_features(prompts), dim=-1)

    def similarity(self, image_features: Tensor, class_features: Tensor) -> Tensor:
        """Normalised (B, D) and (C, D) -> logits (B, C): cosines times exp(logit_scale)."""
        logits: Tensor = self.backbone.scale * image_features @ class_features.T
        return logits

    def logits(self, images: Images, classifier: Any) -> Tensor:
        """(B, C): the `similarity` of image and class features."""
        return self.similarity(F.normalize(self.image_features(images), dim=-1), classifier)

    def readings(self, images: Images, classifier: Any) -> Mapping[str, Tensor]:
        """Logits (B, C) by the name of the reading: the method's own under "", and others to record beside it."""
        return {"": self.logits(images, classifier)}

    def training_step(self, images: Images, labels: Tensor, prompts: Any) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Logits (B, C) and the named loss terms whose sum is minimised; labels: (B,) int64 in 0 .. C - 1."""
        logits = self.logits(images, self.classifier(prompts))
        return logits, {"cross_entropy": F.cross_entropy(logits.float(), labels)}

    def backward(self, losses: Mapping[str, Tensor]) -> None:
        """Fill the gradients of the trainable parameters from the terms of `training_step` (scaled, when in fp16)."""
        sum(losses.values(), torch.zeros((), device=self.backbone.device)).backward()

    def lr_factor(self, name: str) -> float:
        """By what the learning rate of the parameter `name` is multiplied."""
        return 1.0

    def fit(self, shots: Shots) -> None:
        """Called once before the first epoch: closed-form methods learn here, from all drawn images at once."""

    def end_epoch(self, epoch: int, recipe: Recipe) -> None:
        """Called behind every epoch 1 .. recipe.epochs, e.g. to average prompts."""

    def end_training(self, shots: Shots) -> None:
        """Called once behind the last epoch, e.g. to search hyper-parameters on the validation images."""
