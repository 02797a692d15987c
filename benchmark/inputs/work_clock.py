"""For whom a device worked, and how long, without waiting for it."""

import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch

NOBODY = None
"""To whom time is charged outside of `charged_to`."""


class WorkClock:
    """Divides the time of a device among those it works for.

    A GPU works later than the host that calls it, so that the host's clock would charge work to whoever waits for it.
    There, marks are put into the device's queue and read at the end.

    Args:
        device: The device that does the work.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._owners: list[Hashable] = [NOBODY]
        self._marks: list[tuple[Hashable, Any]] = []
        self._mark()

    @contextmanager
    def charged_to(self, owner: Hashable) -> Iterator[None]:
        """Charge what is done inside to `owner`, but for what is charged to another one further inside.

        Args:
            owner: For whom the work is done.
        """
        self._owners.append(owner)
        self._mark()
        try:
            yield
        finally:
            self._owners.pop()
            self._mark()

    def seconds(self) -> dict[Hashable, float]:
        """The seconds charged to each owner so far; waits for the device."""
        self._mark()
        if self._device.type == "cuda":
            self._marks[-1][1].synchronize()
        spent: dict[Hashable, float] = {}
        for (owner, start), (_, end) in pairwise(self._marks):
            taken = end - start if isinstance(start, float) else start.elapsed_time(end) / 1000
            spent[owner] = spent.get(owner, 0.0) + taken
        return spent

    def _mark(self) -> None:
        if self._device.type == "cuda":
            mark: Any = torch.cuda.Event(enable_timing=True)
            mark.record(torch.cuda.current_stream(self._device))
        else:
            mark = time.perf_counter()
        self._marks.append((self._owners[-1], mark))
