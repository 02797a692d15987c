"""The options of the miniature's cards and the labels that follow from them; needs no torch, which draws the images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from promptarena.benchmark.core.config_files import check
from promptarena.benchmark.core.errors import UserError

RENDER_VERSION = 1
"""Increased by hand whenever the same options give other pixels than before."""

Split = Literal["train", "val", "test"]
Labels = npt.NDArray[np.int64]

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, le=100)]
_Amount = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class Knobs:
    """How difficult the images are.

    Sizes of the object (`scale`) and of what covers it (`occluder`) are ranges (low, high) as fractions of the frame's
    side, `rotation` is the largest turn in degrees in either direction, `frequency` the range of a pattern's cycles per
    frame. `patterned`, `occluded` and `blur` are shares of the images, `clutter` is the number of boxes in the
    background, `mixing` how far the colour channels are mixed (1: completely). `noise`, `brightness` and `tint_shift`
    are standard deviations in 0..1.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    scale: tuple[Positive, Positive] = (0.6, 1.0)
    rotation: Annotated[float, Field(ge=0, le=180)] = 15.0
    patterned: Share = 0.3
    frequency: tuple[Positive, Positive] = (3.0, 7.0)
    occluded: Share = 0.0
    occluder: tuple[Positive, Positive] = (0.2, 0.42)
    clutter: Annotated[int, Field(ge=0, le=20)] = 0
    mixing: Share = 0.0
    noise: _Amount = 0.0
    blur: Share = 0.0
    brightness: _Amount = 0.05
    contrast: tuple[Positive, Positive] = (0.8, 1.15)
    tint_shift: _Amount = 0.0

    def __post_init__(self) -> None:
        for name in ("scale", "frequency", "occluder", "contrast"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} must be a range (low, high), but {low} is above {high}")


class Options(BaseModel):
    """The `[options]` of a miniature dataset's card.

    `kind` says what is drawn: sprites of the pack (`concepts` are its keys, `styles` the icon sets to take in turn),
    pure textures or handwritten digits (`concepts` are their names). `per_class` is the number of images by split.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["sprites", "textures", "digits"]
    concepts: Annotated[tuple[str, ...], Field(min_length=2)]
    per_class: dict[Split, Annotated[int, Field(ge=1)]]
    styles: tuple[str, ...] = ()
    knobs: Knobs = Knobs()


def labels_of(card_options: Mapping[str, Any], name: str, split: Split) -> Labels:
    """Labels (N,) of a split, without rendering it. Raises the same errors as `render`."""
    options = read_options(card_options, name)
    return np.repeat(np.arange(len(options.concepts)), per_class(options, name, split))


def read_options(card_options: Mapping[str, Any], name: str) -> Options:
    """The checked options of the dataset `name`. Raises UserError for bad ones."""
    return check(f"dataset {name!r}: [options]", dict(card_options), Options)


def per_class(options: Options, name: str, split: Split) -> int:
    """The number of images of each class in a split. Raises UserError when the options have no such split."""
    if split not in options.per_class:
        raise UserError(f"dataset {name!r} has no {split} split; it has {', '.join(options.per_class)}")
    return options.per_class[split]
