"""What a suite changes in the recipes of its methods."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from promptarena.benchmark.core.config_files import Text

Multiplier = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class TrainingDefaults(BaseModel):
    """A suite's `[training]` table.

    `lr_multiplier` multiplies the learning rates of SGD: published rates are tuned for CLIP's logit scale of 100, and
    gradients shrink with the scale. `adaptive_lr_multiplier` multiplies those of Adam and AdamW, which divide by the
    size of the gradients. `own_lr_multipliers` are those of single methods, by name, in place of both: not every
    gradient passes through the logit scale. All else is the same for all methods: `max_epochs` is the most epochs,
    `max_steps` the most optimiser steps of a training; at least one epoch remains after the warm-up, cut short if
    necessary. None changes nothing. `augment` = false switches off random crops and flips; frozen features are then the
    same in every epoch.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    lr_multiplier: Multiplier = 1.0
    adaptive_lr_multiplier: Multiplier = 1.0
    own_lr_multipliers: dict[Text, Multiplier] = {}
    max_epochs: Annotated[int, Field(ge=1, strict=True)] | None = None
    max_steps: Annotated[int, Field(ge=1, strict=True)] | None = None
    augment: bool = True

    def changes(self, method: str) -> dict[str, Any]:
        """What changes in a method's recipe.

        Args:
            method: The method's name.

        Returns:
            The arguments of `adapted`.

        >>> TrainingDefaults(lr_multiplier=50, own_lr_multipliers={"coop": 2}).changes("coop")["lr_multiplier"]
        2.0
        """
        changes = self.model_dump(exclude={"own_lr_multipliers"})
        if method in self.own_lr_multipliers:
            own = self.own_lr_multipliers[method]
            changes |= {"lr_multiplier": own, "adaptive_lr_multiplier": own}
        return changes
