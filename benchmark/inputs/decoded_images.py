"""Decoded few-shot training images, kept in memory so that a file is decoded once and not in every epoch."""

import threading
from collections.abc import Callable

import numpy as np
from PIL import Image

MOST_MIB = 2048
"""MiB of decoded images that a process keeps."""


class DecodedImages:
    """Images as they are in their files, list by list, up to a number of bytes.

    Of a list that is larger than the limit the first images that were read are kept: an epoch reads all of them, so
    keeping the last ones would keep none until it is read again. The list that was used longest ago goes first.

    Args:
        most_mib: Most MiB of all images together.
    """

    def __init__(self, most_mib: int = MOST_MIB) -> None:
        self._most = most_mib << 20
        self._lists: dict[str, dict[int, np.ndarray]] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def bytes(self) -> int:
        """Bytes of all images that are kept."""
        return self._bytes

    def image(self, of: str, row: int, read: Callable[[int], Image.Image]) -> Image.Image:
        """An image of a list.

        Args:
            of: What identifies the list and the state of its files.
            row: The image's position in the list.
            read: Reads the image, as RGB.

        Returns:
            The image, with the pixels that `read` gives.
        """
        with self._lock:
            kept = self._lists.pop(of, {})
            self._lists[of] = kept  # the last one is the one that was used last
            found = kept.get(row)
        if found is None:
            found = np.asarray(read(row))
            self._keep(of, row, found)
        return Image.fromarray(found)

    def _keep(self, of: str, row: int, pixels: np.ndarray) -> None:
        with self._lock:
            kept = self._lists.setdefault(of, {})
            while self._bytes + pixels.nbytes > self._most and (oldest := next(iter(self._lists))) != of:
                self._bytes -= sum(each.nbytes for each in self._lists.pop(oldest).values())
            if row not in kept and self._bytes + pixels.nbytes <= self._most:
                kept[row] = pixels
                self._bytes += pixels.nbytes
