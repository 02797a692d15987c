"""Batches of a view in order; the images of the next batches are read while the device computes."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import numpy as np

from promptarena.benchmark.inputs.reading import reading_threads
from promptarena.benchmark.inputs.views import Decoded, View, ViewBatch

AHEAD = 2
"""How many batches are read ahead."""


def read_ahead(view: View, steps: Sequence[Sequence[int]], threads: int | None = None) -> Iterator[ViewBatch]:
    """Iterate over batches, reading ahead once a batch is used by its pixels.

    A method that uses cached features never reads pixels, so nothing is read ahead for it. (The images of features that
    are not cached yet are read by several threads, too; see `View`.) The batches and their
    content do not depend on the threads.

    Args:
        view: The view.
        steps: The rows of each batch.
        threads: Reading threads; None means as many as `reading_threads` gives.

    Yields:
        A lazy batch for each step.
    """
    count = reading_threads(view.backbone.device) if threads is None else threads
    if not count:
        yield from (view.batch(rows) for rows in steps)
        return
    with ThreadPoolExecutor(count) as pool:
        reading: deque[list[Future[Decoded]]] = deque()
        for step, rows in enumerate(steps):
            batch = view.batch(rows, partial(_joined, reading.popleft()) if reading else None)
            yield batch
            if batch.pixels_read:
                for following in steps[step + 1 + len(reading) : step + 1 + AHEAD]:
                    reading.append([pool.submit(view.decoded, [row]) for row in following])


def _joined(read: Sequence[Future[Decoded]]) -> Decoded:
    images = [image.result() for image in read]
    crops = [crop for each in images if isinstance(each, list) for crop in each]
    return crops or np.concatenate([each for each in images if isinstance(each, np.ndarray)])
