"""Image preprocessing as in CoOp and its successors: bicubic resizing by Pillow, a centre crop for tests, a random
resized crop and flip, or RandAugment, for training."""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from promptarena.benchmark.core.keys import generator
from promptarena.benchmark.core.recipe import ON_DEVICE

TRANSFORM_VERSION = 1
"""Increased by hand whenever a transform gives other pixels: it is part of the keys of runs and of cached features."""

_RATIO = (3 / 4, 4 / 3)


def test_view(image: Image.Image, size: int) -> Image.Image:
    """The test transform: resize the shorter side (bicubic), then crop the centre.

    Args:
        image: An RGB image.
        size: The side of the result in pixels.

    Returns:
        An RGB image of `size` x `size` pixels.
    """
    from torchvision.transforms import InterpolationMode  # slow to import, and planning transforms no image
    from torchvision.transforms import functional as tvf

    view: Image.Image = tvf.center_crop(tvf.resize(image, size, InterpolationMode.BICUBIC), [size, size])
    return view


def training_view(
    image: Image.Image, size: int, crop_scale: tuple[float, float], random: np.random.Generator
) -> Image.Image:
    """The training transform: a random crop, resized (bicubic), then a horizontal flip with probability 1/2.

    The distribution is that of torchvision's RandomResizedCrop with aspect ratios from 3/4 to 4/3.

    Args:
        image: An RGB image.
        size: The side of the result in pixels.
        crop_scale: The smallest and the largest share of the image's area that a crop keeps.
        random: The only source of randomness; the order of the draws decides the pixels.

    Returns:
        An RGB image of `size` x `size` pixels.
    """
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms import functional as tvf

    box = _crop_box(image.width, image.height, crop_scale, random)
    crop: Image.Image = tvf.resized_crop(image, *box, [size, size], InterpolationMode.BICUBIC)
    return crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 else crop


def rand_augmented(image: Image.Image, size: int, random: np.random.Generator) -> Image.Image:
    """RandAugment (Cubuk et al., 2020) with two operations of magnitude 10, of the whole image and without a flip.

    The image is resized to a square, as Dassl.pytorch does when nothing crops it. The operations are torchvision's;
    its own `forward` would draw from the global generator.

    Args:
        image: An RGB image.
        size: The side of the result in pixels.
        random: The only source of randomness.

    Returns:
        An RGB image of `size` x `size` pixels.
    """
    from torchvision.transforms import InterpolationMode, RandAugment
    from torchvision.transforms import functional as tvf
    from torchvision.transforms.autoaugment import _apply_op

    augment = RandAugment(num_ops=2, magnitude=10, interpolation=InterpolationMode.BICUBIC)
    view: Image.Image = tvf.resize(image, [size, size], InterpolationMode.BICUBIC)
    space = augment._augmentation_space(augment.num_magnitude_bins, (size, size))
    for _ in range(augment.num_ops):
        name = list(space)[random.integers(len(space))]
        magnitudes, signed = space[name]
        magnitude = float(magnitudes[augment.magnitude]) if magnitudes.ndim else 0.0
        if signed and random.random() < 0.5:
            magnitude = -magnitude
        view = _apply_op(view, name, magnitude, augment.interpolation, fill=None)
    return view


def _crop_box(
    width: int, height: int, scale: tuple[float, float], random: np.random.Generator
) -> tuple[int, int, int, int]:
    # Ten tries, then the largest centred crop of an allowed aspect ratio: the rule of torchvision.
    for _ in range(10):
        area = width * height * random.uniform(*scale)
        aspect = math.exp(random.uniform(math.log(_RATIO[0]), math.log(_RATIO[1])))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            return int(random.integers(height - h + 1)), int(random.integers(width - w + 1)), h, w
    aspect = min(max(width / height, _RATIO[0]), _RATIO[1])
    w, h = min(width, round(height * aspect)), min(height, round(width / aspect))
    return (height - h) // 2, (width - w) // 2, h, w


@dataclass(frozen=True, eq=False)
class Crop:
    """A part of a decoded image.

    Args:
        pixels: (h, w, 3) uint8.
        mirrored: Whether it is shown mirrored, left and right exchanged.
    """

    pixels: np.ndarray
    mirrored: bool


@dataclass(frozen=True)
class Augmentation:
    """A random augmentation: that of `seed` in `epoch`; a crop keeps a share within `crop_scale` of an image's area.
    `kind` is the recipe's, and `number` 2 another, independent draw of the same epoch."""

    seed: int
    epoch: int
    crop_scale: tuple[float, float]
    kind: str = "crop"
    number: int = 1

    @property
    def on_device(self) -> bool:
        """Whether its crops are resized where the run computes."""
        return self.kind == ON_DEVICE

    @property
    def drawn(self) -> list[float | str]:
        """What identifies it; what is usual is left out, so that kept features stay valid."""
        rest: list[float | str] = [] if (self.kind, self.number) == ("crop", 1) else [self.kind, self.number]
        return [self.seed, self.epoch, *self.crop_scale, *rest]

    def view(self, image: Image.Image, key: str, size: int) -> Image.Image:
        """The augmented image.

        Args:
            image: An RGB image.
            key: The image's identity, which decides its draw together with seed, epoch and number.
            size: The side of the result in pixels.

        Returns:
            An RGB image of `size` x `size` pixels.
        """
        if self.kind == "randaugment":
            return rand_augmented(image, size, self._random(key))
        return training_view(image, size, self.crop_scale, self._random(key))

    def crop(self, image: Image.Image, key: str) -> Crop:
        """The part of the image that `view` shows, before it is resized; of the kinds that crop.

        Args:
            image: An RGB image.
            key: As for `view`.
        """
        random = self._random(key)
        top, left, height, width = _crop_box(image.width, image.height, self.crop_scale, random)
        pixels = np.asarray(image)[top : top + height, left : left + width].copy()
        return Crop(pixels, mirrored=random.random() < 0.5)

    def _random(self, key: str) -> np.random.Generator:
        return generator("augment", self.seed, key, self.epoch, *([] if self.number == 1 else [self.number]))
