"""Digits as one-colour sprites: real handwriting for the dataset, printed digits bent out of shape for pretraining."""

import functools

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from promptarena.benchmark.core.keys import generator
from promptarena.benchmark.data.miniature.pack import SPRITE

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
Sprites = npt.NDArray[np.uint8]


def sprites_from_masks(masks: Tensor) -> Sprites:
    """Alpha masks (n, 1, h, w) in 0..1 enlarged to one-colour sprites, uint8 (n, 4, 64, 64)."""
    alpha = F.interpolate(masks, size=(SPRITE, SPRITE), mode="bilinear", align_corners=False)
    pixels = (alpha.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    return np.concatenate([np.full((len(pixels), 3, SPRITE, SPRITE), 255, np.uint8), pixels], axis=1)


@functools.cache
def _handwriting() -> tuple[Tensor, npt.NDArray[np.int64]]:
    from sklearn.datasets import load_digits

    found = load_digits()
    return torch.from_numpy(found.images / 16).float()[:, None], np.asarray(found.target, np.int64)


def handwritten(value: int, place: int) -> Sprites:
    """A handwritten digit `value` (0..9), uint8 (4, 64, 64): number `place` (0..173) of its shuffled examples."""
    masks, labels = _handwriting()
    specimens = generator("handwriting", value).permutation(np.flatnonzero(labels == value))
    sprite: Sprites = sprites_from_masks(masks[specimens[place]][None])[0]
    return sprite


def distort(sprites: Sprites, rng: np.random.Generator, coarse: float = 0.65) -> Sprites:
    """Printed digits (n, 4, 64, 64) slanted, stretched, bent, made thick or thin; a share `coarse` reduced to 8 x 8."""
    count, side = len(sprites), 32
    turn = np.deg2rad(rng.uniform(-14, 14, count))
    slant = rng.uniform(-0.35, 0.35, count)
    wide, tall = 1 / rng.uniform(0.75, 1.35, count), 1 / rng.uniform(0.95, 1.15, count)
    rotation = np.stack([np.stack([np.cos(turn), np.sin(turn)], 1), np.stack([-np.sin(turn), np.cos(turn)], 1)], 1)
    stretch = np.zeros((count, 2, 2))
    stretch[:, 0, 0], stretch[:, 1, 1], stretch[:, 0, 1] = wide, tall, -slant
    theta = np.concatenate([stretch @ rotation, rng.normal(0, 0.05, (count, 2, 1))], axis=2).astype(np.float32)
    grid = F.affine_grid(torch.from_numpy(theta), [count, 1, side, side], align_corners=False)
    bend = torch.from_numpy(rng.normal(0, 1, (count, 2, 4, 4)).astype(np.float32))
    bend = bend * torch.from_numpy(rng.uniform(0, 0.13, (count, 1, 1, 1)).astype(np.float32))
    grid = grid + F.interpolate(bend, size=(side, side), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    masks = F.grid_sample(torch.from_numpy(sprites[:, 3:]).float() / 255, grid, align_corners=False)
    thick, thin = F.max_pool2d(masks, 3, 1, 1), -F.max_pool2d(-masks, 3, 1, 1)
    weight = torch.from_numpy(rng.uniform(-0.6, 1.0, (count, 1, 1, 1)).astype(np.float32))
    masks = torch.where(weight > 0, masks + weight * (thick - masks), masks - weight * (thin - masks))
    gain = torch.from_numpy(rng.uniform(1.0, 1.6, (count, 1, 1, 1)).astype(np.float32))
    small = (F.avg_pool2d(masks, 4) * gain).clamp(0, 1)
    small = F.interpolate((small * 16).round() / 16, size=(SPRITE, SPRITE), mode="bilinear", align_corners=False)
    fine = F.interpolate(masks, size=(SPRITE, SPRITE), mode="bilinear", align_corners=False)
    chosen = torch.from_numpy(rng.random((count, 1, 1, 1)) < coarse)
    return sprites_from_masks(torch.where(chosen, small, fine))
