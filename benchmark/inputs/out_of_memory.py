"""Work that does not fit into a device's memory: done in halves where that is possible, else refused in one line."""

from collections.abc import Callable

import numpy as np
import torch

from promptarena.benchmark.core.errors import UserError


def in_halves(compute: Callable[[range], np.ndarray], rows: range) -> np.ndarray:
    """The rows of an array, computed in halves while they do not fit into the device's memory.

    Args:
        compute: Computes the rows of a range, on the host.
        rows: The rows.

    Returns:
        The rows. In parts, products of matrices may differ in their last bits.

    Raises:
        torch.OutOfMemoryError: Not even one row fits.
    """
    try:
        return compute(rows)
    except torch.OutOfMemoryError:
        if len(rows) < 2:
            raise
    # Outside of `except`, because the error holds the frames whose tensors fill the memory.
    middle = rows.start + len(rows) // 2
    parts = range(rows.start, middle), range(middle, rows.stop)
    return np.concatenate([in_halves(compute, part) for part in parts])


def does_not_fit(what: str, device: torch.device) -> UserError:
    """The error for work that does not fit into the device's memory.

    Args:
        what: The work, such as "a training step of 4 images and 1000 classes".
        device: The device.

    Returns:
        The error to raise.
    """
    return UserError(
        f"{what} does not fit into the memory of {device}; use --precision bf16, a device with more memory, "
        "or end what else uses it"
    )
