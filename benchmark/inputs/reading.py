"""How many threads read images, and how images are read by several of them."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Read = TypeVar("Read")

MOST_THREADS = 8
"""The most reading threads of a run."""


def reading_threads(device: torch.device) -> int:
    """How many threads read images for a run.

    Args:
        device: The run's device.

    Returns:
        0 on the CPU, whose cores are busy with the run; up to MOST_THREADS on a GPU.
    """
    return 0 if device.type == "cpu" else min(MOST_THREADS, os.cpu_count() or 1)


def read_images(read: Callable[[int], Read], rows: Sequence[int], threads: int) -> list[Read]:
    """Read images, in their order.

    Args:
        read: Reads the image of a row; safe to call in several threads.
        rows: The rows.
        threads: How many threads read at once; 0 or 1 reads in the calling one.

    Returns:
        The image of each row.
    """
    if min(threads, len(rows)) < 2:
        return [read(row) for row in rows]
    with ThreadPoolExecutor(min(threads, len(rows))) as pool:
        return list(pool.map(read, rows))
