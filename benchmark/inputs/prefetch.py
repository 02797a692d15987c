"""Batches of a view in order, the pictures of the next ones read while the device is at work."""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import numpy as np

from promptarena.benchmark.inputs.views import View, ViewBatch

AHEAD = 2
"""Batches whose pictures are read before they are asked for."""

MOST_THREADS = 8


def read_ahead(view: View, steps: Sequence[Sequence[int]], threads: int | None = None) -> Iterator[ViewBatch]:
    """A lazy batch of the view for each list of rows.

    Once a batch was asked for its pixels, those of the next AHEAD are read in `threads` (default: none on the CPU,
    whose cores are busy with runs; up to MOST_THREADS on a GPU). Which batches come, and what is in them, does not
    change.
    """
    count = _threads(view) if threads is None else threads
    if not count:
        yield from (view.batch(rows) for rows in steps)
        return
    with ThreadPoolExecutor(count) as pool:
        reading: deque[list[Future[np.ndarray]]] = deque()
        for step, rows in enumerate(steps):
            batch = view.batch(rows, partial(_joined, reading.popleft()) if reading else None)
            yield batch
            if batch.pixels_read:
                for following in steps[step + 1 + len(reading) : step + 1 + AHEAD]:
                    reading.append([pool.submit(view.pictures, [row]) for row in following])


def _joined(read: Sequence[Future[np.ndarray]]) -> np.ndarray:
    return np.concatenate([picture.result() for picture in read])


def _threads(view: View) -> int:
    return 0 if view.backbone.device.type == "cpu" else min(MOST_THREADS, os.cpu_count() or 1)
