"""Training recipes: all settings of the training loop, and the formula of the learning rate."""

import math
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from promptarena.benchmark.core.protocol_table import Protocol

ON_DEVICE = "crop-on-device"
"""The augmentation whose crops are resized on the run's device."""

LATER = ("drop_last", "factors_in_warmup", "one_class", "iterations", "final_lr", "augmentation")
"""Settings that were added when runs had already been recorded."""


class Recipe(BaseModel):
    """How a method is trained.

    Every value is recorded with the run, those in `LATER` only when they differ from their default. A user changes one
    with `--set METHOD.recipe.NAME=VALUE`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    epochs: int = Field(ge=0, description="passes over the training images; 0 trains nothing")
    iterations: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (), description="steps in place of epochs, one number for each stage of the training; epochs follow from it"
    )
    batch_size: int = Field(ge=1, description="images a step; fewer training images than this make one short step")
    drop_last: bool = Field(
        True, description="the images of an epoch that do not fill a batch are left out; off: they make a last step"
    )
    one_class: bool = Field(
        False, description="every batch holds images of one class only; a class with fewer images makes a short batch"
    )
    epoch_steps: int | None = Field(None, ge=1, description="most steps of an epoch; None: as many as images allow")
    lr: float = Field(ge=0, description="learning rate after the warm-up")
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    eps: float = Field(1e-8, gt=0, description="of Adam and AdamW, added to the denominator")
    schedule: Literal["by epoch", "by step"] = Field(
        "by epoch", description="after the warm-up a cosine: one rate per epoch, or one per step that ends at 0"
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="of SGD")
    weight_decay: float = Field(5e-4, ge=0, description="added to the gradient (SGD, Adam) or decoupled (AdamW)")
    warmup_epochs: int = Field(1, ge=0, description="first epochs at the constant warmup_lr")
    warmup_lr: float = Field(1e-5, ge=0, description="learning rate of the warm-up")
    factors_in_warmup: bool = Field(
        True, description="a learner's factors of the learning rate act in the warm-up; off: all have warmup_lr"
    )
    final_lr: float = Field(0.0, ge=0, description="learning rate at which the cosine ends")
    clip_gradient: float | None = Field(
        None, gt=0, description="largest L2 norm of all gradients together; None: no limit"
    )
    augment: bool = Field(True, description="random augmentation; off: the test transform")
    augmentation: Literal["crop", "randaugment", "crop-on-device"] = Field(
        "crop",
        description="what augments: crop and flip, RandAugment of the whole image, resized to a square, or crop and "
        "flip with crops that the run's device resizes, whose pixels differ a little",
    )
    crop_scale: tuple[float, float] = Field((0.08, 1.0), description="share of the area that a random crop keeps")

    @model_validator(mode="after")
    def _iterations_by_step(self) -> Self:
        if self.iterations and self.schedule != "by step":
            raise ValueError("a recipe in iterations needs the schedule 'by step'")
        return self

    @model_serializer(mode="wrap")
    def _without_later_settings(self, written: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """The recipe as a dictionary. The keys of runs contain it, and runs recorded before a setting in `LATER`
        existed keep theirs, because its default is not written."""
        values: dict[str, Any] = written(self)
        for name in LATER:
            if getattr(self, name) == type(self).model_fields[name].default:
                values.pop(name, None)
        return values

    def steps(self, images: int) -> int:
        """The steps of an epoch.

        Args:
            images: The number of training images; fewer than a batch make one short step.

        Returns:
            images / batch_size, rounded down (up without `drop_last`), at least 1 and at most `epoch_steps`.
        """
        rounded = math.floor if self.drop_last else math.ceil
        return min(max(1, rounded(images / self.batch_size)), self.epoch_steps or images)

    def stage(self, epoch: int, steps: int) -> "Stage":
        """The stage that an epoch belongs to.

        Args:
            epoch: The epoch, from 1.
            steps: The steps of a whole epoch.

        Returns:
            The stage; a recipe in epochs has one.
        """
        first = 1
        for number, total in enumerate(self.iterations):
            after = first + math.ceil(total / steps)
            if epoch < after:
                return Stage(number, (epoch - first) * steps, total, epoch == after - 1)
            first = after
        return Stage(0, (epoch - 1) * steps, self.epochs * steps, epoch == self.epochs)


class Stage(NamedTuple):
    """Where an epoch stands in a training.

    Attributes:
        number: of the stage, from 0.
        before: steps of the stage before this epoch.
        total: steps of the stage.
        ends: whether this is the last epoch of the stage.
    """

    number: int
    before: int
    total: int
    ends: bool


class TrainingTask(BaseModel):
    """What a method may use to choose its configuration and recipe."""

    model_config = ConfigDict(frozen=True)

    protocol: Protocol
    shots: int
    dataset: str = Field("", description="the public dataset trained on, or the one a miniature mirrors")
    card: str = Field("", description="the trained dataset's own name; a miniature's own words need it")
    is_source: bool = Field(description="whether the trained dataset is the suite's source, ImageNet in the field")


def learning_rate(recipe: Recipe, epoch: int, step: int = 0, steps: int = 1) -> float:
    """The learning rate of one step.

    Schedule "by epoch": a constant warm-up, then a cosine whose first epoch has the full rate and whose half period is
    the total number of epochs, so that the last epoch's rate is small but not 0. It is the schedule of Dassl.pytorch,
    CoOp's training library. Schedule "by step": a constant warm-up, then a cosine over all remaining steps. Both end at
    `final_lr`. With `iterations` the schedule is that of the stage, and epochs are counted from its start.

    Args:
        recipe: The recipe.
        epoch: The epoch, 1 .. recipe.epochs.
        step: The step within the epoch, 0 .. steps - 1.
        steps: The steps of an epoch.

    Returns:
        The learning rate of parameters whose factor is 1.
    """
    if recipe.iterations:
        _, before, total, _ = recipe.stage(epoch, steps)
        warmup = recipe.warmup_epochs * steps
        if before < warmup:
            return recipe.warmup_lr
        share = (before + step - warmup) / (total - warmup)
    elif epoch <= recipe.warmup_epochs:
        return recipe.warmup_lr
    else:
        elapsed = epoch - 1 - recipe.warmup_epochs
        share = elapsed / recipe.epochs
        if recipe.schedule == "by step":
            share = (elapsed + step / steps) / (recipe.epochs - recipe.warmup_epochs)
    return recipe.final_lr + 0.5 * (recipe.lr - recipe.final_lr) * (1 + math.cos(math.pi * share))


def set_rates(optimizer: Any, recipe: Recipe, rate: float, epoch: int) -> None:
    """Give every group of an optimiser its learning rate.

    Args:
        optimizer: A torch optimiser whose groups hold the factor of their rate under "factor".
        recipe: The recipe.
        rate: The learning rate of parameters whose factor is 1.
        epoch: The epoch, from 1.
    """
    equal = epoch <= recipe.warmup_epochs and not recipe.factors_in_warmup
    for group in optimizer.param_groups:
        group["lr"] = rate if equal else rate * group["factor"]


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
    """The recipe with the changes of a suite's `[training]` table.

    Args:
        recipe: The method's own recipe.
        images: The number of training images.
        lr_multiplier: Factor of the learning rates when the optimiser is SGD.
        adaptive_lr_multiplier: Factor of the learning rates when the optimiser is Adam or AdamW.
        max_epochs: The most epochs; None means no limit. At least one epoch remains after the warm-up.
        max_steps: The most steps of all epochs together; None means no limit. At least one epoch remains after the
            warm-up; when these epochs still have too many steps, each epoch is cut short equally.
        augment: False switches augmentation off; True leaves the recipe's own choice.

    Returns:
        The changed recipe.
    """
    multiplier = lr_multiplier if recipe.optimizer == "sgd" else adaptive_lr_multiplier
    epochs = recipe.epochs if max_epochs is None else min(recipe.epochs, max(max_epochs, recipe.warmup_epochs + 1))
    epoch_steps = recipe.epoch_steps
    if max_steps is not None and epochs and not recipe.iterations:
        epochs = min(epochs, max(max_steps // recipe.steps(images), recipe.warmup_epochs + 1))
        share = max(1, max_steps // epochs)
        epoch_steps = share if share < recipe.steps(images) else epoch_steps
    changed = recipe.model_copy(
        update={
            "lr": recipe.lr * multiplier,
            "final_lr": recipe.final_lr * multiplier,
            "warmup_lr": recipe.warmup_lr * multiplier,
            "epochs": epochs,
            "epoch_steps": epoch_steps,
            "augment": recipe.augment and augment,
        }
    )
    return in_epochs(changed, images, max_epochs=max_epochs, max_steps=max_steps)


def in_epochs(recipe: Recipe, images: int, *, max_epochs: int | None = None, max_steps: int | None = None) -> Recipe:
    """A recipe in iterations with the epochs that they take; any other recipe as it is.

    Args:
        recipe: The recipe.
        images: The number of training images.
        max_epochs: The most epochs; the iterations of all stages are shortened equally. None means no limit.
        max_steps: The most iterations of all stages together. None means no limit.

    Returns:
        The recipe; each stage has at least one iteration, and begins a new epoch. With 0 epochs it trains nothing.
    """
    if not recipe.iterations:
        return recipe
    if max_epochs == 0:
        return recipe.model_copy(update={"iterations": (), "epochs": 0})
    steps, total = max(1, recipe.steps(images)), sum(recipe.iterations)
    most = min(total, total if max_epochs is None else max_epochs * steps, total if max_steps is None else max_steps)
    iterations = tuple(max(1, count * most // total) for count in recipe.iterations)
    epochs = sum(math.ceil(count / steps) for count in iterations)
    return recipe.model_copy(update={"iterations": iterations, "epochs": epochs})


def images_seen(recipe: Recipe, count: int) -> int:
    """The images that a training processes.

    Args:
        recipe: The recipe.
        count: The number of training images.

    Returns:
        The sum over all epochs, each image counted as often as it is shown; `count` for a recipe without epochs, whose
        closed-form fit uses each image once.
    """
    if recipe.iterations:
        return sum(recipe.iterations) * min(count, recipe.batch_size)
    return recipe.epochs * min(count, recipe.steps(count) * recipe.batch_size) or count
