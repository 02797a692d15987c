"""Training recipes: everything the harness's training loop obeys, and the closed form of the learning rate."""

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from promptarena.benchmark.core.protocol_table import Protocol


class Recipe(BaseModel):
    """How a method is trained. Every value is recorded with the run; a user changes one with `--set
    METHOD.recipe.NAME=VALUE`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    epochs: int = Field(ge=0, description="passes over the training images; 0 trains nothing")
    batch_size: int = Field(ge=1, description="images a step; an epoch has floor(N / batch_size) steps, at least one")
    epoch_steps: int | None = Field(None, ge=1, description="most steps of an epoch; None: as many as images allow")
    lr: float = Field(ge=0, description="learning rate after the warm-up")
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    eps: float = Field(1e-8, gt=0, description="of Adam and AdamW, added to the denominator")
    schedule: Literal["by epoch", "by step"] = Field(
        "by epoch", description="cosine that falls behind each epoch (behind the warm-up), or at each step and to 0"
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="of SGD")
    weight_decay: float = Field(5e-4, ge=0, description="added to the gradient (SGD, Adam) or decoupled (AdamW)")
    warmup_epochs: int = Field(1, ge=0, description="first epochs at the constant warmup_lr")
    warmup_lr: float = Field(1e-5, ge=0, description="learning rate of the warm-up")
    clip_gradient: float | None = Field(
        None, gt=0, description="largest L2 norm of all gradients together; None: no limit"
    )
    augment: bool = Field(True, description="random resized crop and horizontal flip; off: the test transform")
    crop_scale: tuple[float, float] = Field((0.08, 1.0), description="share of the area that a random crop keeps")

    def steps(self, images: int) -> int:
        """The steps of an epoch of so many training images; fewer than a batch make one short step."""
        return min(max(1, images // self.batch_size), self.epoch_steps or images)


class TrainingTask(BaseModel):
    """What a method may know when it states its recipe."""

    model_config = ConfigDict(frozen=True)

    protocol: Protocol
    shots: int
    dataset: str = Field("", description="the public dataset trained on, or the one a miniature mirrors")
    card: str = Field("", description="the trained dataset's own name; a miniature's own words need it")
    is_source: bool = Field(description="whether the trained dataset is the suite's source, ImageNet in the field")


def learning_rate(recipe: Recipe, epoch: int, step: int = 0, steps: int = 1) -> float:
    """The rate of step 0 .. steps - 1 in epoch 1 .. recipe.epochs.

    By epoch: warm-up at a constant, then a cosine that starts anew behind it and whose period is the total number of
    epochs, so that the last epoch's rate is small but not 0 (Dassl's schedule). By step: warm-up, then a cosine over
    all remaining steps that ends at 0.
    """
    if epoch <= recipe.warmup_epochs:
        return recipe.warmup_lr
    behind = epoch - 1 - recipe.warmup_epochs
    share = behind / recipe.epochs
    if recipe.schedule == "by step":
        share = (behind + step / steps) / (recipe.epochs - recipe.warmup_epochs)
    return 0.5 * recipe.lr * (1 + math.cos(math.pi * share))


def adapted(
    recipe: Recipe,
    images: int,
    *,
    lr_multiplier: float,
    adaptive_lr_multiplier: float,
    max_epochs: int | None,
    max_steps: int | None,
    augment: bool,
) -> Recipe:
    """The recipe for a training on so many images under a suite's training table.

    Learning rates are multiplied (by one factor for SGD, by another for Adam and AdamW), augmentation is left or off.
    Epochs are capped, by their number and by that of all steps, but one is left behind the warm-up; where these few
    are still too many steps, each epoch ends after its share of them.
    """
    multiplier = lr_multiplier if recipe.optimizer == "sgd" else adaptive_lr_multiplier
    epochs = recipe.epochs if max_epochs is None else min(recipe.epochs, max_epochs)
    epoch_steps = recipe.epoch_steps
    if max_steps is not None and epochs:
        epochs = min(epochs, max(max_steps // recipe.steps(images), recipe.warmup_epochs + 1))
        share = max(1, max_steps // epochs)
        epoch_steps = share if share < recipe.steps(images) else epoch_steps
    return recipe.model_copy(
        update={
            "lr": recipe.lr * multiplier,
            "warmup_lr": recipe.warmup_lr * multiplier,
            "epochs": epochs,
            "epoch_steps": epoch_steps,
            "augment": recipe.augment and augment,
        }
    )


def images_seen(recipe: Recipe, count: int) -> int:
    """Images that all epochs together go through, of `count` training images; a closed form sees each once."""
    return recipe.epochs * recipe.steps(count) * min(count, recipe.batch_size) or count
