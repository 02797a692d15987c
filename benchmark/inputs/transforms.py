"""Image preprocessing as in CoOp and its successors: bicubic resizing by Pillow, a centre crop for tests, a random
resized crop and flip for training."""

import math

import numpy as np
from PIL import Image

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

    top, left, height, width = _crop_box(image.width, image.height, crop_scale, random)
    box = top, left, height, width
    crop: Image.Image = tvf.resized_crop(image, *box, [size, size], InterpolationMode.BICUBIC)
    return crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 else crop


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
