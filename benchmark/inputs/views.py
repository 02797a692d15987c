"""What a method sees of images: lazy pixels, frozen features and frozen tokens, the frozen ones shared through a
cache.

A view is a list of images under one transform: the test transform, or the augmentation of one (seed, epoch). The
augmentation of an image is a pure function of (seed, image, epoch), so frozen features of augmented views can be
cached exactly, and all methods see the same pictures. Frozen features are always computed over the whole list in
chunks of a fixed size, so that their last bits do not depend on who asks first.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.core.keys import digest, generator
from promptarena.benchmark.inputs.array_cache import ArrayCache
from promptarena.benchmark.inputs.transforms import TRANSFORM_VERSION, test_view, training_view

LARGEST_CACHED_MIB = 1024
"""Frozen tokens of a view are cached up to this size; a constant, so that the way of computing never varies."""

LARGEST_PICTURES_MIB = 2048
"""The pictures of a view under the test transform are cached up to this size."""


class ImageList(Protocol):
    """N decoded pictures in a fixed order."""

    @property
    def digest(self) -> str:
        """SHA-256 identity of the pictures and their order."""

    @property
    def stamp(self) -> str:
        """What changes when a picture behind its key may have changed; cached features are kept apart by it."""

    def __len__(self) -> int: ...

    def key(self, index: int) -> str:
        """A picture's identity within its dataset, independent of the list it stands in."""

    def image(self, index: int) -> Image.Image:
        """The picture as RGB. Raises UserError when it cannot be decoded."""


@dataclass(frozen=True)
class Augmentation:
    """Which random view: the draws of `seed` for `epoch`, cropping within `crop_scale`."""

    seed: int
    epoch: int
    crop_scale: tuple[float, float]


class Kept:
    """What was computed of a batch, by its name: made at the first request, and handed out as a copy to each that asks.

    seconds: the wall-clock time that making it all took.
    """

    def __init__(self) -> None:
        self._made: dict[str, Tensor] = {}
        self.seconds = 0.0

    def once(self, what: str, make: Callable[[], Tensor]) -> Tensor:
        """A copy of `what`; `make` may itself ask for other things that are kept here."""
        if what not in self._made:
            before, started = self.seconds, time.perf_counter()
            self._made[what] = make()
            self.seconds = before + time.perf_counter() - started
        return self._made[what].clone()


class PixelBatch:
    """B images given by their pixels; features and tokens are computed when first asked for, once.

    What is asked for later goes on from the tokens asked for before: the same operations, and so the same bits.
    """

    def __init__(self, pixels: Tensor, backbone: Backbone) -> None:
        self._pixels = pixels
        self._backbone = backbone
        self._kept = Kept()
        self._reached: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return len(self._pixels)

    @property
    def pixels(self) -> Tensor:
        """(B, 3, H, H) normalised."""
        return self._pixels

    @property
    def features(self) -> Tensor:
        """(B, D), frozen, not normalised."""
        return self._kept.once("features", self._features)

    def tokens_at(self, block: int) -> Tensor:
        """(B, 1 + P, W) in front of `block`, frozen."""
        return self._kept.once(f"tokens/{block}", lambda: self._tokens_at(block))

    def _features(self) -> Tensor:
        with torch.no_grad(), self._backbone.autocast():
            below = self._deepest(self._backbone.vision.depth - 1) if self._reached else None
            if below is None:
                return self._backbone.encode_image(self._pixels).float()
            return self._backbone.image_features_from(self._reached[below], start=below).float()

    def _tokens_at(self, block: int) -> Tensor:
        with torch.no_grad(), self._backbone.autocast():
            below = self._deepest(block)
            if below is None:
                tokens = self._backbone.image_tokens(self._pixels, stop=block)
            else:
                tokens = self._backbone.vision.run(self._reached[below], start=below, stop=block)
            self._reached[block] = tokens
            return tokens.float()

    def _deepest(self, block: int) -> int | None:
        """The block nearest below `block`, or this itself, that was reached already."""
        return max((reached for reached in self._reached if reached <= block), default=None)


class View:
    """A list of images under one transform, for one backbone."""

    def __init__(
        self, images: ImageList, backbone: Backbone, cache: ArrayCache, augmentation: Augmentation | None = None
    ) -> None:
        self.images = images
        self.backbone = backbone
        self._cache = cache
        self._augmentation = augmentation
        self._asked: int | None = None

    @cached_property
    def _key(self) -> str:
        images, backbone, random = self.images, self.backbone, self._augmentation
        drawn = None if random is None else [random.seed, random.epoch, *random.crop_scale]
        pixels = [backbone.image_size, *backbone.mean, *backbone.std]
        return digest(images.digest, images.stamp, pixels, TRANSFORM_VERSION, drawn)

    def __len__(self) -> int:
        return len(self.images)

    def pictures(self, rows: Sequence[int]) -> np.ndarray:
        """(B, H, H, 3) uint8: the transformed pictures of these rows; of test views all are decoded once and cached."""
        size = self.backbone.image_size
        if self._augmentation is None and len(self) * 3 * size * size <= LARGEST_PICTURES_MIB << 20:
            key = digest(self.images.digest, self.images.stamp, size, TRANSFORM_VERSION)
            pictures: np.ndarray = self._cache.get(key, len(self), self._decoded)[np.asarray(rows, dtype=np.int64)]
            return pictures
        return self._decoded(rows)

    def _decoded(self, rows: Sequence[int]) -> np.ndarray:
        size = self.backbone.image_size
        pictures = [np.asarray(self._picture(int(row))) for row in rows]
        return np.stack(pictures) if pictures else np.empty((0, size, size, 3), dtype=np.uint8)

    def _picture(self, row: int) -> Image.Image:
        image, size, augmentation = self.images.image(row), self.backbone.image_size, self._augmentation
        if augmentation is None:
            return test_view(image, size)
        random = generator("augment", augmentation.seed, self.images.key(row), augmentation.epoch)
        return training_view(image, size, augmentation.crop_scale, random)

    def pixels(self, rows: Sequence[int]) -> Tensor:
        """(B, 3, H, H) float32 on the backbone's device, normalised with its mean and standard deviation."""
        return self.normalised(self.pictures(rows))

    def normalised(self, pictures: np.ndarray) -> Tensor:
        """(B, H, H, 3) uint8 -> (B, 3, H, H) float32 on the backbone's device; a GPU is not waited for."""
        bytes_ = self._sent(pictures).permute(0, 3, 1, 2)
        mean, std = self.backbone.colours
        return (bytes_.float().div(255) - mean).div(std).contiguous()

    def features(self, rows: Sequence[int]) -> Tensor:
        """(B, D) frozen features of these rows, not normalised; the whole view's are computed at the first call, from
        the tokens where this view was asked for some."""
        return self._frozen("features", self._encoded, rows)

    def tokens_at(self, block: int, rows: Sequence[int]) -> Tensor:
        """(B, 1 + P, W) frozen tokens in front of `block`.

        The whole view's are computed at the first call and cached, unless they exceed LARGEST_CACHED_MIB.
        """
        if not self.keeps_tokens:
            return self.plain(rows).tokens_at(block)
        tokens = self._frozen(f"tokens/{block}", lambda chunk: self.plain(chunk).tokens_at(block), rows)
        self._asked = block
        return tokens

    def _encoded(self, chunk: range) -> Tensor:
        backbone, block = self.backbone, self._asked
        if block is None or block >= backbone.vision.depth or backbone.precision != "fp32":
            return self.plain(chunk).features
        with torch.no_grad():
            return backbone.image_features_from(self.tokens_at(block, chunk), start=block)

    @property
    def keeps_tokens(self) -> bool:
        """Whether the tokens of the whole view in front of a block are small enough to be cached."""
        visual, width = self.backbone.model.visual, self.backbone.vision.width
        bytes_each = 4 * len(visual.positional_embedding) * width
        return len(self) * bytes_each <= LARGEST_CACHED_MIB << 20

    def _frozen(self, what: str, compute: Callable[[range], Tensor], rows: Sequence[int]) -> Tensor:
        backbone = self.backbone
        compiler = [backbone.compiler] if backbone.compiler else []
        key = digest(self._key, what, backbone.digest, backbone.precision, backbone.device.type, *compiler)
        array = self._cache.get(key, len(self), lambda chunk: compute(chunk).cpu().numpy())
        return self._sent(array[np.asarray(rows, dtype=np.int64)])

    def _sent(self, array: np.ndarray) -> Tensor:
        """An array as a tensor of its own on the backbone's device; a GPU is not waited for."""
        on_host = torch.from_numpy(array)
        if self.backbone.device.type == "cuda":
            on_host = on_host.pin_memory()
        return on_host.to(self.backbone.device, non_blocking=True)

    def plain(self, rows: Sequence[int]) -> PixelBatch:
        """These rows by their pixels, nothing cached."""
        return PixelBatch(self.pixels(rows), self.backbone)

    def batch(self, rows: Sequence[int], pictures: Callable[[], np.ndarray] | None = None) -> "ViewBatch":
        """These rows as a lazy batch; `pictures` gives those of the rows where they are being read already."""
        return ViewBatch(self, rows, pictures or partial(self.pictures, rows))


class ViewBatch:
    """Some rows of a view; nothing is decoded or encoded before it is asked for, nor a second time.

    `pixels_read` tells whether it was asked for its pixels.
    """

    def __init__(self, view: View, rows: Sequence[int], pictures: Callable[[], np.ndarray]) -> None:
        self._view = view
        self._rows = rows
        self._pictures = pictures
        self._kept = Kept()
        self.pixels_read = False

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def seconds(self) -> float:
        """The wall-clock seconds that reading and encoding took so far, whoever asked."""
        return self._kept.seconds

    @property
    def pixels(self) -> Tensor:
        """(B, 3, H, H) normalised."""
        self.pixels_read = True
        return self._kept.once("pixels", lambda: self._view.normalised(self._pictures()))

    @property
    def features(self) -> Tensor:
        """(B, D), frozen, not normalised."""
        return self._kept.once("features", lambda: self._view.features(self._rows))

    def tokens_at(self, block: int) -> Tensor:
        """(B, 1 + P, W) in front of `block`, frozen."""
        return self._kept.once(f"tokens/{block}", lambda: self._tokens_at(block))

    def _tokens_at(self, block: int) -> Tensor:
        if self._view.keeps_tokens:
            return self._view.tokens_at(block, self._rows)
        return PixelBatch(self.pixels, self._view.backbone).tokens_at(block)
