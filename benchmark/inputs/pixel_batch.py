"""A batch of images that are given by their pixels; features and tokens are computed at first use.

Shapes: B images, H the backbone's image size, D the joint embedding size, P patches of an image, W the width of the
image tower.
"""

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.inputs.work_clock import WorkClock

READING = "reading and encoding"
"""To what the time of computing what a batch keeps is charged."""


class Kept:
    """The tensors of a batch by name, each computed at the first request.

    Every request receives a copy, so that a method that changes a tensor in place does not change it for others.

    Args:
        clock: Its READING is charged with all computations; None for nobody who asks for their time.
    """

    def __init__(self, clock: WorkClock | None = None) -> None:
        self._made: dict[str, Tensor] = {}
        self._clock = clock

    def once(self, what: str, make: Callable[[], Tensor]) -> Tensor:
        """A copy of the tensor `what`; `make` computes it, and may itself request other tensors of the batch."""
        if what not in self._made:
            with self._clock.charged_to(READING) if self._clock else nullcontext():
                self._made[what] = make()
        return self._made[what].clone()


class PixelBatch:
    """B images given by their pixels; features and tokens are computed once, at first use.

    A later request starts from the tokens of the deepest block computed so far. These are the same operations as from
    the pixels, so the bits are the same.
    """

    def __init__(self, pixels: Tensor, backbone: Backbone, second: "PixelBatch | None" = None) -> None:
        self._pixels = pixels
        self.second = second or self
        self._backbone = backbone
        self._kept = Kept()
        self._reached: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return len(self._pixels)

    @property
    def pixels(self) -> Tensor:
        """(B, 3, H, H) float32, normalised."""
        return self._pixels

    @property
    def features(self) -> Tensor:
        """(B, D) float32 of the frozen image encoder, not normalised."""
        return self._kept.once("features", self._features)

    def tokens_at(self, block: int) -> Tensor:
        """(B, 1 + P, W) float32, the tokens of the frozen image tower before `block`."""
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
        """The deepest block up to `block` whose tokens were computed already; None when there is none."""
        return max((reached for reached in self._reached if reached <= block), default=None)
