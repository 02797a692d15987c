"""Images as a method sees them: pixels, frozen features and frozen tokens, computed at first use. Features and tokens
are shared through a cache.

A view is a list of images under one transform: the test transform, or the augmentation of one (seed, epoch). The
augmentation of an image depends on (seed, image, epoch) only, so all methods see the same augmented images and their
frozen features can be cached exactly. Frozen features are always computed over the whole list in chunks of a fixed
size, so that their last bits do not depend on which rows are requested first.

Shapes: B images, H the backbone's image size, D the joint embedding size, P patches of an image, W the width of the
image tower.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.core.keys import digest
from promptarena.benchmark.inputs.array_cache import ArrayCache, computed
from promptarena.benchmark.inputs.device_crops import resized
from promptarena.benchmark.inputs.out_of_memory import in_halves
from promptarena.benchmark.inputs.pixel_batch import Kept, PixelBatch
from promptarena.benchmark.inputs.reading import read_images, reading_threads
from promptarena.benchmark.inputs.transforms import TRANSFORM_VERSION, Augmentation, Crop, test_view
from promptarena.benchmark.inputs.work_clock import WorkClock

LARGEST_CACHED_MIB = 1024
"""Frozen tokens of a view are cached up to this size. A constant, not a setting: tokens that are not cached are
computed in batches of another size, which may change their last bits."""

LARGEST_PICTURES_MIB = 2048
"""The transformed images of a view under the test transform are cached up to this size."""


Decoded = np.ndarray | list[Crop]
"""B images before normalisation: (B, H, H, 3) uint8, or crops that the device resizes."""


class ImageList(Protocol):
    """N images in a fixed order, decoded when they are used."""

    @property
    def digest(self) -> str:
        """SHA-256 identity of the images and their order."""

    @property
    def stamp(self) -> str:
        """A text that changes when an image file may have changed; it is part of the keys of cached features."""

    def __len__(self) -> int: ...

    def key(self, index: int) -> str:
        """The identity of image `index` among all datasets; it does not depend on the list."""

    def image(self, index: int) -> Image.Image:
        """Image `index` as RGB. Raises UserError when it cannot be decoded."""


class View:
    """A list of images under one transform, for one backbone.

    Args:
        images: The images.
        backbone: The frozen CLIP, whose image size and normalisation are used.
        cache: The cache of images, features and tokens.
        augmentation: The random augmentation; None means the test transform.
        clock: Where batches charge the time of reading and encoding; None for nowhere.
    """

    def __init__(
        self,
        images: ImageList,
        backbone: Backbone,
        cache: ArrayCache,
        augmentation: Augmentation | None = None,
        clock: WorkClock | None = None,
    ) -> None:
        self.images = images
        self.backbone = backbone
        self.clock = clock
        self._cache = cache
        self._augmentation = augmentation
        self._asked: int | None = None
        self._tokens: dict[int, np.ndarray] = {}

    @cached_property
    def _key(self) -> str:
        images, backbone, random = self.images, self.backbone, self._augmentation
        drawn = None if random is None else random.drawn
        pixels = [backbone.image_size, *backbone.mean, *backbone.std]
        return digest(images.digest, images.stamp, pixels, TRANSFORM_VERSION, drawn)

    @cached_property
    def _files(self) -> str:
        return f"{self.images.digest} {self.images.stamp}"

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def second(self) -> "View":
        """The same images under another draw of the augmentation; itself under the test transform."""
        if self._augmentation is None:
            return self
        return View(self.images, self.backbone, self._cache, replace(self._augmentation, number=2), self.clock)

    def decoded(self, rows: Sequence[int]) -> Decoded:
        """The transformed images before normalisation; crops that the device resizes are not resized yet.

        Under the test transform all images of the view are decoded once and cached, up to LARGEST_PICTURES_MIB.

        Args:
            rows: The positions of B images.

        Returns:
            (B, H, H, 3) uint8, or B crops.
        """
        size = self.backbone.image_size
        if self._augmentation and self._augmentation.on_device:
            return read_images(lambda row: self._crop(int(row)), rows, reading_threads(self.backbone.device))
        if self._augmentation is None and len(self) * 3 * size * size <= LARGEST_PICTURES_MIB << 20:
            key = digest(self.images.digest, self.images.stamp, size, TRANSFORM_VERSION)
            every = self._cache.get(key, len(self), self._decoded, sound=self.backbone.intact)
            decoded: np.ndarray = every[np.asarray(rows, dtype=np.int64)]
            return decoded
        return self._decoded(rows)

    def _decoded(self, rows: Sequence[int]) -> np.ndarray:
        size, threads = self.backbone.image_size, reading_threads(self.backbone.device)
        decoded = read_images(lambda row: np.asarray(self._image(int(row))), rows, threads)
        return np.stack(decoded) if decoded else np.empty((0, size, size, 3), dtype=np.uint8)

    def _image(self, row: int) -> Image.Image:
        size = self.backbone.image_size
        if self._augmentation is None:
            return test_view(self.images.image(row), size)
        return self._augmentation.view(self._training_image(row), self.images.key(row), size)

    def _crop(self, row: int) -> Crop:
        assert self._augmentation is not None
        return self._augmentation.crop(self._training_image(row), self.images.key(row))

    def _training_image(self, row: int) -> Image.Image:
        if reading_threads(self.backbone.device):
            return self._cache.decoded.image(self._files, row, self.images.image)
        return self.images.image(row)  # steps on a CPU take far longer than decoding, and many workers share the memory

    def pixels(self, rows: Sequence[int]) -> Tensor:
        """The transformed images, normalised with the backbone's mean and standard deviation.

        Args:
            rows: The positions of B images.

        Returns:
            (B, 3, H, H) float32 on the backbone's device.
        """
        return self.normalised(self.decoded(rows))

    def normalised(self, decoded: Decoded) -> Tensor:
        """Normalise transformed images on the backbone's device, without waiting for a GPU.

        Args:
            decoded: (B, H, H, 3) uint8, or B crops.

        Returns:
            (B, 3, H, H) float32 on the backbone's device.
        """
        mean, std = self.backbone.colours
        if isinstance(decoded, np.ndarray):
            # Bytes are sent and converted on the device: a quarter of the data of float32.
            values = self._sent(decoded).permute(0, 3, 1, 2).float()
        else:
            values = resized(decoded, self.backbone.image_size, self._sent)
        return (values.div(255) - mean).div(std).contiguous()

    def features(self, rows: Sequence[int]) -> Tensor:
        """Frozen features; those of the whole view are computed and cached at the first call.

        They are computed from cached tokens when this view has some, which saves the blocks below.

        Args:
            rows: The positions of B images.

        Returns:
            (B, D) float32 on the backbone's device, not normalised.
        """
        return self._frozen("features", self._encoded, rows)

    def tokens_at(self, block: int, rows: Sequence[int]) -> Tensor:
        """Frozen tokens; those of the whole view are computed and kept at the first call.

        They are computed for these rows only when the whole view's exceed LARGEST_CACHED_MIB. Those of augmented images
        are kept by this view only: they are read in one epoch, and would push out of the cache what others read.

        Args:
            block: The block before which the tokens are taken, from 0.
            rows: The positions of B images.

        Returns:
            (B, 1 + P, W) float32 on the backbone's device.
        """
        if not self.keeps_tokens:
            return self.plain(rows).tokens_at(block)

        def compute(chunk: range) -> Tensor:
            return self.plain(chunk).tokens_at(block)

        if self._augmentation is None:
            tokens = self._frozen(f"tokens/{block}", compute, rows)
        else:
            if block not in self._tokens:
                self._tokens[block] = computed(len(self), _on_host(compute))
            tokens = self._sent(self._tokens[block][np.asarray(rows, dtype=np.int64)])
        self._asked = block
        return tokens

    def _encoded(self, chunk: range) -> Tensor:
        backbone, block = self.backbone, self._asked
        # Cached tokens are float32, so only in fp32 do they continue with the bits that the pixels would give.
        if block is None or block >= backbone.vision.depth or backbone.precision != "fp32":
            return self.plain(chunk).features
        with torch.no_grad(), backbone.autocast():  # a method may have entered another precision
            return backbone.image_features_from(self.tokens_at(block, chunk), start=block)

    @property
    def keeps_tokens(self) -> bool:
        """Whether the tokens of the whole view before a block are small enough to be cached."""
        visual, width = self.backbone.model.visual, self.backbone.vision.width
        bytes_each = 4 * len(visual.positional_embedding) * width
        return len(self) * bytes_each <= LARGEST_CACHED_MIB << 20

    def _frozen(self, what: str, compute: Callable[[range], Tensor], rows: Sequence[int]) -> Tensor:
        backbone = self.backbone
        # Everything that decides bits is in the key: precision, kind of device, and the compiler where one is used.
        compile_backend = [backbone.compile_backend] if backbone.compile_backend else []
        key = digest(self._key, what, backbone.digest, backbone.precision, backbone.device.type, *compile_backend)
        array = self._cache.get(key, len(self), _on_host(compute), sound=backbone.intact)
        return self._sent(array[np.asarray(rows, dtype=np.int64)])

    def _sent(self, array: np.ndarray) -> Tensor:
        """An array as a tensor on the backbone's device, copied without waiting for a GPU (hence the pinned memory)."""
        on_host = torch.from_numpy(array)
        if self.backbone.device.type == "cuda":
            on_host = on_host.pin_memory()
        return on_host.to(self.backbone.device, non_blocking=True)

    def plain(self, rows: Sequence[int]) -> PixelBatch:
        """B rows as a batch that computes everything from the pixels and caches nothing on the disk."""
        return PixelBatch(self.pixels(rows), self.backbone)

    def uncached(self, rows: Sequence[int]) -> PixelBatch:
        """As `plain`, for images without an identity: nothing is read from the cache, either."""
        return PixelBatch(self.normalised(self._decoded(rows)), self.backbone)

    def batch(self, rows: Sequence[int], decoded: Callable[[], Decoded] | None = None) -> "ViewBatch":
        """B rows as a lazy batch.

        Args:
            rows: The positions of B images.
            decoded: Returns what `View.decoded` does, if it is being read already; None reads it at first use.

        Returns:
            The batch.
        """
        return ViewBatch(self, rows, decoded or partial(self.decoded, rows))


def _on_host(compute: Callable[[range], Tensor]) -> Callable[[range], np.ndarray]:
    """The computed rows as arrays; in halves while they do not fit into the device's memory."""
    return partial(in_halves, lambda rows: compute(rows).cpu().numpy())


class ViewBatch:
    """B rows of a view; each image is decoded and encoded at first use, and once only.

    `pixels_read` says whether the pixels were used.
    """

    def __init__(self, view: View, rows: Sequence[int], decoded: Callable[[], Decoded]) -> None:
        self._view = view
        self._rows = rows
        self._read = decoded
        self._kept = Kept(view.clock)
        self.pixels_read = False

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def second(self) -> "ViewBatch":
        """The same rows under another draw of the augmentation; itself under the test transform."""
        return self if self._view.second is self._view else self._view.second.batch(self._rows)

    def parts(self, size: int) -> list["ViewBatch"]:
        """The batch in parts of at most `size` images; itself where it is no larger."""
        if len(self) <= size:
            return [self]
        return [self._view.batch(self._rows[start : start + size]) for start in range(0, len(self), size)]

    @property
    def pixels(self) -> Tensor:
        """(B, 3, H, H) float32, normalised."""
        self.pixels_read = True
        return self._kept.once("pixels", lambda: self._view.normalised(self._read()))

    @property
    def features(self) -> Tensor:
        """(B, D) float32 of the frozen image encoder, not normalised."""
        return self._kept.once("features", lambda: self._view.features(self._rows))

    def tokens_at(self, block: int) -> Tensor:
        """(B, 1 + P, W) float32, the tokens of the frozen image tower before `block`."""
        return self._kept.once(f"tokens/{block}", lambda: self._tokens_at(block))

    def _tokens_at(self, block: int) -> Tensor:
        if self._view.keeps_tokens:
            return self._view.tokens_at(block, self._rows)
        return PixelBatch(self.pixels, self._view.backbone).tokens_at(block)
