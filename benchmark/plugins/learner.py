"""What a method plugin is: one file with a configuration and a learner.

A plugin subclasses `Learner`, fills in `about`, a `Config` and a recipe, and overrides the few functions in which its
paper differs. It uses the backbone and the images; it does not handle datasets, devices, logging or protocols.

Shapes: B images of H x H pixels, C classes, D the joint embedding size, P patches of an image, W the width of the image
tower.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.recipe import Recipe, TrainingTask
from promptarena.benchmark.plugins.images import Images as Images
from promptarena.benchmark.plugins.images import Shots as Shots


def scaled_cosines(scale: Tensor | float, image_features: Tensor, class_features: Tensor) -> Tensor:
    """Cosine similarities times a scale, in float32 whatever the precision of the encoders.

    In bf16, logits of about 100 would be rounded to steps of 0.5, so that many images had several best classes.

    Args:
        scale: A number, or a scalar tensor.
        image_features: (B, D), L2-normalised.
        class_features: (C, D), L2-normalised.

    Returns:
        (B, C) float32.
    """
    with torch.autocast(image_features.device.type, enabled=False):
        logits: Tensor = scale * image_features.float() @ class_features.float().T
    return logits


class Config(BaseModel):
    """Base of a method's configuration: immutable, and unknown keys are errors.

    Declare a field that the paper leaves open with `assumed`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def assumed(default: Any, *, description: str, **limits: Any) -> Any:
    """A pydantic Field whose default is our choice, because neither the paper nor its code gives it.

    Args:
        default: The chosen value.
        description: What the setting means, shown by `promptarena methods show`.
        limits: Further arguments of `pydantic.Field`, such as `gt=0`.

    Returns:
        The field; the method's card lists it as assumed.
    """
    return Field(default, description=description, json_schema_extra={"assumed": True}, **limits)


def assumed_settings(config_type: type[Config]) -> tuple[str, ...]:
    """The assumed settings of a configuration.

    Args:
        config_type: The configuration's class.

    Returns:
        The names of the fields declared with `assumed`, in order.
    """
    extras = {name: field.json_schema_extra for name, field in config_type.model_fields.items()}
    return tuple(name for name, extra in extras.items() if isinstance(extra, dict) and extra.get("assumed"))


@dataclass(frozen=True)
class About:
    """The method's card: what `promptarena methods list` shows.

    Args:
        title: The method's name as its paper writes it.
        paper: The title of the paper.
        venue: Where it appeared.
        year: When it appeared; methods are listed in this order.
        url: Where the paper can be read.
        parity: How the implementation was checked against the authors' code. "golden": it reproduces stored outputs of
            the official code. "properties": statements of the paper were tested against a simple reference
            implementation. "unverified": neither.
        assumed: Choices that neither paper nor code gives, in a few words each, in addition to the settings declared
            with `assumed`.
    """

    title: str
    paper: str
    venue: str
    year: int
    url: str
    parity: Literal["golden", "properties", "unverified"] = "unverified"
    assumed: tuple[str, ...] = ()


class CannotTransferError(Exception):
    """Raised by `Learner.prompts` for classes that this learner cannot score.

    The message is shown in the tables as the reason for the missing score.
    """


class Learner(nn.Module):
    """Base of every method. Its parameters are trained and saved; those of the backbone are neither.

    The harness calls, in order: `__init__`; `fit`; `begin_stage`; `training_prompts`; in each epoch `begin_epoch`, in
    each step `training_step` and `backward`, and `end_epoch`; after the last epoch of a stage `end_stage`, after the
    last one of all `end_training`; in each evaluation `prompts` and `classifier` once and `readings` (which calls
    `logits`) for each batch.
    """

    about: ClassVar[About]
    config_type: ClassVar[type[Config]] = Config
    seeded: ClassVar[bool] = True
    """False for a method without training and without randomness: it is run once, not once per seed."""
    ablations: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """The settings of each ablation, by its name; an ablation removes a part of the method."""
    stackable: ClassVar[bool] = False
    """True when `torch.vmap` can run `training_step` for several seeds at once. The step must draw nothing at random
    and not branch on tensor values, `backward` must minimise the sum of the loss terms, and seeds may differ in
    parameters and buffers only. A subclass does not inherit it, since it may break these conditions."""
    image_conditioned: ClassVar[bool] = False
    """True for a method whose class features depend on the image, so that `logits` encodes text for every image."""

    def __init__(self, backbone: Backbone, config: Config, classes: Classes, generator: torch.Generator) -> None:
        """Create the initial parameters, on the CPU and with no randomness but that of `generator`.

        Args:
            backbone: The frozen CLIP.
            config: The method's configuration.
            classes: The classes that are trained on.
            generator: The only source of randomness, so that equal seeds give equal parameters.

        Raises:
            UserError: The configuration does not fit the backbone.
        """
        super().__init__()
        self.backbone = backbone
        self.config = config

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[Config, Recipe]:
        """The published settings for a task.

        Args:
            task: Protocol, number of shots and dataset.

        Returns:
            Configuration and recipe. The default recipe has 0 epochs, which trains nothing.
        """
        return cls.config_type(), Recipe(epochs=0, batch_size=100, lr=0.0, augment=False)

    @classmethod
    def image_passes(cls, config: Any) -> int:
        """How often the image tower encodes each test image in an evaluation; estimates of a run's time count it.

        Args:
            config: The method's configuration.

        Returns:
            1, unless the method sees a test image in several views.
        """
        return 1

    @classmethod
    def reads(cls, config: Any, backbone_digest: str) -> Mapping[str, Path]:
        """The files, besides the configuration, that decide the method's results. Their content enters the run's key.

        Args:
            config: The method's configuration.
            backbone_digest: SHA-256 of the backbone's weights.

        Returns:
            The path of each file, by what it holds.

        Raises:
            UserError: A file is missing.
        """
        return {}

    def prompts(self, classes: Classes) -> Any:
        """What depends on the class names but not on parameters, e.g. tokenised texts.

        Args:
            classes: The classes to score; in an evaluation they may differ from those trained on.

        Returns:
            Any value; it is passed to `text_features` and `classifier`.

        Raises:
            CannotTransferError: The learner cannot score these classes.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define prompts")

    def training_prompts(self, classes: Classes) -> Any:
        """The prompts for training, computed once per training.

        Args:
            classes: The classes that are trained on.

        Returns:
            The value passed to `training_step`: `prompts` unless training needs more.
        """
        return self.prompts(classes)

    def text_features(self, prompts: Any) -> Tensor:
        """The class features.

        Args:
            prompts: What `prompts` returned.

        Returns:
            (C, D), not normalised.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define text_features")

    def image_features(self, images: Images) -> Tensor:
        """The image features; those of the frozen encoder unless overridden.

        Args:
            images: The batch.

        Returns:
            (B, D), not normalised.
        """
        return images.features

    def classifier(self, prompts: Any) -> Any:
        """The part of the prediction that does not depend on the images, computed once per evaluation.

        Args:
            prompts: What `prompts` returned.

        Returns:
            The value passed to `logits`: (C, D) L2-normalised class features unless overridden.
        """
        return F.normalize(self.text_features(prompts), dim=-1)

    def similarity(self, image_features: Tensor, class_features: Tensor) -> Tensor:
        """CLIP's logits: cosine similarities times exp(logit_scale).

        Args:
            image_features: (B, D), L2-normalised.
            class_features: (C, D), L2-normalised.

        Returns:
            (B, C) float32.
        """
        return scaled_cosines(self.backbone.scale, image_features, class_features)

    def logits(self, images: Images, classifier: Any) -> Tensor:
        """The scores of all classes for a batch.

        Args:
            images: The batch.
            classifier: What `classifier` returned.

        Returns:
            (B, C), the `similarity` of image and class features unless overridden.
        """
        return self.similarity(F.normalize(self.image_features(images), dim=-1), classifier)

    def readings(self, images: Images, classifier: Any) -> Mapping[str, Tensor]:
        """All ways in which the learner scores a batch.

        Args:
            images: The batch.
            classifier: What `classifier` returned.

        Returns:
            Logits (B, C) by name: the method's own under "", further ones to record under their names.
        """
        return {"": self.logits(images, classifier)}

    def training_step(self, images: Images, labels: Tensor, prompts: Any) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The forward pass of one training step.

        Args:
            images: The batch.
            labels: (B,) int64 in 0 .. C - 1.
            prompts: What `training_prompts` returned.

        Returns:
            Logits (B, C), for the training accuracy, and the loss terms by name, scalars whose sum is minimised.
        """
        logits = self.logits(images, self.classifier(prompts))
        return logits, {"cross_entropy": F.cross_entropy(logits.float(), labels)}

    def backward(self, losses: Mapping[str, Tensor]) -> None:
        """Compute the gradients of the trainable parameters; by default of the sum of all terms.

        Args:
            losses: The terms of `training_step`; in fp16 multiplied by the loss scale.
        """
        sum(losses.values(), torch.zeros((), device=self.backbone.device)).backward()

    def lr_factor(self, name: str) -> float:
        """The factor of a parameter's learning rate.

        Args:
            name: The parameter's name in `named_parameters()`.

        Returns:
            The factor; 1 unless overridden.
        """
        return 1.0

    def fit(self, shots: Shots) -> None:
        """Called once before the first epoch; closed-form methods learn here, from the whole few-shot split."""

    def begin_stage(self, stage: int) -> Mapping[str, nn.Parameter]:
        """Called before the first epoch of a stage, and when a training is resumed within it.

        Args:
            stage: The stage, from 0; a recipe has one for each number in `iterations`, else one.

        Returns:
            The parameters that the stage trains, by name; all of them unless overridden. Each stage has an optimiser of
            its own.
        """
        return dict(self.named_parameters())

    def end_stage(self, stage: int) -> None:
        """Called after the last epoch of a stage, e.g. to set where the next one starts."""

    def begin_epoch(self, epoch: int, random: torch.Generator) -> None:
        """Called before every epoch, for a learner that draws in its steps.

        Args:
            epoch: The epoch, from 1.
            random: A generator on the CPU, keyed by the training's seed and the epoch, so that a resumed training draws
                the same.
        """

    def end_epoch(self, epoch: int, recipe: Recipe) -> None:
        """Called after every epoch 1 .. recipe.epochs, e.g. to average prompts."""

    def end_training(self, shots: Shots) -> None:
        """Called once after the last epoch, e.g. to search hyper-parameters on the validation images."""
