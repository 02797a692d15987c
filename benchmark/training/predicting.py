"""From logits to what is kept of them: the predictions for a target."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from promptarena.benchmark.core.predictions import TOP, Halves, Predictions
from promptarena.benchmark.core.runs import Target

CHUNK = 1 << 18
"""Logits that are reduced at a time: for few classes the calls take longer than the work of a single batch."""


class Kept(NamedTuple):
    """What is kept of the logits of B images, on their device; the fields are as in `Predictions` and `Halves`."""

    top: Tensor
    logits: Tensor
    label_logit: Tensor
    rank: Tensor
    log_sum_exp: Tensor
    square_sum: Tensor
    halves: tuple[Tensor, ...]


class Collector:
    """Collects the logits of one reading batch by batch and keeps what `Predictions` has of them."""

    def __init__(self, labels: Tensor, classes: int, base: int | None) -> None:
        """Begin.

        Args:
            labels: (N,) int64, the labels of all images that will be added, on the device of the logits.
            classes: The number C of classes.
            base: How many of them are base classes, the first ones; None where that does not matter. There must be
                novel classes too.
        """
        self._labels = labels
        self._base = base
        self._chunk = torch.empty(max(1, CHUNK // classes), classes, device=labels.device)
        self._filled = 0
        self._done = 0
        # Made once for all images: small results among the large tensors of each part would keep an allocator from
        # using their memory again, so that it would grow with the number of images.
        self._kept: Kept | None = None

    def add(self, logits: Tensor) -> None:
        """Add the logits (B, C) of the next images; they must be finite, and may be overwritten afterwards."""
        while len(logits):
            taken = logits[: len(self._chunk) - self._filled]
            self._chunk[self._filled : self._filled + len(taken)] = taken
            self._filled += len(taken)
            logits = logits[len(taken) :]
            if self._filled == len(self._chunk):
                self._reduce()

    def predictions(
        self, target: Target, reading: str, classes: tuple[str, ...], images: npt.NDArray[np.str_]
    ) -> Predictions:
        """The predictions, once all images were added; the arguments are as in `Predictions`."""
        self._reduce()
        kept = self._kept
        assert kept is not None
        halves = [half[: self._done].cpu().numpy() for half in kept.halves]

        def joined(name: str) -> npt.NDArray[np.generic]:
            found: npt.NDArray[np.generic] = getattr(kept, name)[: self._done].cpu().numpy()
            return found

        return Predictions(
            target=target,
            reading=reading,
            classes=classes,
            images=images,
            labels=self._labels.cpu().numpy().astype(np.int32),
            top=joined("top").astype(np.int32),
            logits=joined("logits").astype(np.float32),
            label_logit=joined("label_logit").astype(np.float32),
            rank=joined("rank").astype(np.int32),
            log_sum_exp=joined("log_sum_exp").astype(np.float64),
            square_sum=joined("square_sum").astype(np.float32),
            halves=Halves(halves[0], halves[1], halves[2].astype(np.int32)) if halves else None,
        )

    def _reduce(self) -> None:
        if not self._filled and self._kept is not None:
            return
        rows = slice(self._done, self._done + self._filled)
        part = reduced(self._chunk[: self._filled], self._labels[rows], self._base)
        if self._kept is None:
            self._kept = _of_all(part, len(self._labels))
        for whole, values in zip(_tensors(self._kept), _tensors(part), strict=True):
            whole[rows] = values
        self._done += self._filled
        self._filled = 0


def _tensors(kept: Kept) -> list[Tensor]:
    return [*kept[:-1], *kept.halves]


def _of_all(part: Kept, count: int) -> Kept:
    """Room for what is kept of `count` images, of the types of a part."""

    def room(values: Tensor) -> Tensor:
        return values.new_empty(count, *values.shape[1:])

    return Kept(
        room(part.top),
        room(part.logits),
        room(part.label_logit),
        room(part.rank),
        room(part.log_sum_exp),
        room(part.square_sum),
        tuple(map(room, part.halves)),
    )


def reduced(logits: Tensor, labels: Tensor, base: int | None = None) -> Kept:
    """Reduce logits to what is kept of them.

    Args:
        logits: (B, C) float32, finite.
        labels: (B,) int64.
        base: As for `Collector`.

    Returns:
        What is kept. Of equal logits that of the first class counts as the larger one, as in `argmax`.
    """
    values, top = _largest(logits, min(TOP, logits.shape[1]))
    own = logits.gather(1, labels[:, None])
    # Relative to the largest logit and summed in float64, so that the probabilities of sure predictions stay exact.
    # That part is rounded to float32: further digits carry nothing and would cost two bytes an image.
    shares = (logits - values[:, :1]).exp_()
    whole = shares.sum(dim=1, dtype=torch.float64)
    log_sum_exp = values[:, 0].double() + whole.log().float()
    square_sum = shares.square().sum(dim=1, dtype=torch.float64) / whole.square()
    halves: list[Tensor] = []
    if base is not None:
        of_base = torch.arange(logits.shape[1], device=labels.device) < base
        own_half = logits.masked_fill(of_base != (labels < base)[:, None], -torch.inf)
        of_half = logits[:, :base]
        halves = [of_half.amax(dim=1), of_half.double().logsumexp(dim=1).float(), _rank(own_half, own, labels)]
    return Kept(top, values, own[:, 0], _rank(logits, own, labels), log_sum_exp, square_sum, tuple(halves))


def _largest(logits: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The largest logits and their classes, each (B, count)."""
    # Of equal numbers topk returns any. So whole numbers are compared that are all different: a logit's bits, in the
    # order of the logits, and below them the place of its class counted from the last.
    bits = (logits + 0.0).view(torch.int32)  # the sum makes -0.0 equal to 0.0
    ordered = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits).long()
    places = torch.arange(logits.shape[1] - 1, -1, -1, device=logits.device)
    top = ((ordered << 32) + places).topk(count, dim=1).indices
    return logits.gather(1, top), top


def _rank(logits: Tensor, own: Tensor, labels: Tensor) -> Tensor:
    """The place (B,) of the label, whose logit is `own` (B, 1), from 1."""
    earlier = torch.arange(logits.shape[1], device=labels.device) < labels[:, None]
    return 1 + ((logits > own) | ((logits == own) & earlier)).sum(dim=1, dtype=torch.int32)
