"""The inputs of a training step by name, so that they can be computed before it: what a step asks for is noted, and a
step is given tensors that were computed already."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from promptarena.benchmark.plugins.learner import Images

SECOND = "second "
TOKENS = "tokens "


def asked_of(images: Images, what: str) -> Tensor:
    """An input of a batch by its name.

    Args:
        images: The batch.
        what: "pixels", "features" or "tokens BLOCK", after "second " where it is of the second view.

    Returns:
        The tensor.
    """
    if what.startswith(SECOND):
        return asked_of(images.second, what.removeprefix(SECOND))
    if what.startswith(TOKENS):
        return images.tokens_at(int(what.removeprefix(TOKENS)))
    return images.pixels if what == "pixels" else images.features


class Named:
    """A batch whose inputs come from a function of their names.

    Args:
        count: The number of images.
        get: Returns an input by its name (see `asked_of`).
        prefix: What the names of this view begin with.
    """

    def __init__(self, count: int, get: Callable[[str], Tensor], prefix: str = "") -> None:
        self._count = count
        self._get = get
        self._prefix = prefix

    def __len__(self) -> int:
        return self._count

    @property
    def pixels(self) -> Tensor:
        """(B, 3, H, H) float32, normalised."""
        return self._get(f"{self._prefix}pixels")

    @property
    def features(self) -> Tensor:
        """(B, D) float32, not normalised."""
        return self._get(f"{self._prefix}features")

    @property
    def second(self) -> "Named":
        """The second view."""
        return Named(self._count, self._get, f"{self._prefix}{SECOND}")

    def tokens_at(self, block: int) -> Tensor:
        """(B, 1 + P, W) float32 before a block."""
        return self._get(f"{self._prefix}{TOKENS}{block}")


def given(inputs: Mapping[str, Tensor], count: int) -> Named:
    """A batch of inputs that were computed before; as in every batch, each request gets a copy.

    Args:
        inputs: The tensors by name.
        count: The number of images.

    Returns:
        The batch; it raises KeyError for another input.
    """
    return Named(count, lambda what: inputs[what].clone())


def noting(images: Images, asked: list[str]) -> Named:
    """A batch that notes which inputs are asked for.

    Args:
        images: The batch that has them.
        asked: Gets the names, in the order of their first requests.

    Returns:
        The batch.
    """

    def get(what: str) -> Tensor:
        if what not in asked:
            asked.append(what)
        return asked_of(images, what)

    return Named(len(images), get)


def together(batches: Sequence[Images]) -> Named:
    """S batches of B images each as one, whose inputs have a first dimension for them.

    Args:
        batches: The batches.

    Returns:
        The batch, of length B.
    """
    return Named(len(batches[0]), lambda what: torch.stack([asked_of(each, what) for each in batches]))
