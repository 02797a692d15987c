"""A cache of arrays on disk and in memory, keyed by content, bounded, and safe under concurrent processes."""

import contextlib
import logging
import os
import tempfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
from filelock import FileLock
from platformdirs import user_cache_path

CHUNK = 32
"""Rows are always computed this many at a time, whichever rows are requested. It decides bits: matrix products of
another number of rows may differ in the last bits."""

log = logging.getLogger(__name__)
Array = np.ndarray


def default_cache_folder() -> Path:
    """The folder named by the environment variable PROMPTARENA_CACHE, else the user's cache folder."""
    named = os.environ.get("PROMPTARENA_CACHE")
    return Path(named) if named else user_cache_path("promptarena")


class ArrayCache:
    """Arrays by key. A missing array is computed once, by one process; other processes that need it wait.

    The cache only saves time and never stops a run: an unreadable entry is computed again, and a folder that cannot be
    written is reported once and then not used.

    Args:
        folder: Where arrays are stored, as `.npy` files (never pickles).
        disk_mib: Most MiB on the disk; the least recently used arrays are deleted first.
        memory_mib: Most MiB of arrays that this process keeps open.
    """

    def __init__(self, folder: Path, disk_mib: int = 8192, memory_mib: int = 512) -> None:
        self.folder = folder
        self._disk_bytes = disk_mib << 20
        self._memory_bytes = memory_mib << 20
        self._recent: OrderedDict[str, Array] = OrderedDict()
        self._writable = True

    def get(self, key: str, count: int, compute: Callable[[range], Array]) -> Array:
        """An array from the cache, computed first if it is missing.

        Args:
            key: A hexadecimal digest of everything that decides the array.
            count: The number of rows.
            compute: Computes the rows of a range, at most CHUNK of them. It must depend on what is in the key only.

        Returns:
            `count` rows, read-only. The array is memory-mapped from the disk where the folder can be written.
        """
        found = self._recent.get(key)
        if found is None:
            found = self._on_disk(key, count, compute)
            found.flags.writeable = False
            self._remember(key, found)
        self._recent.move_to_end(key)
        return found

    def _on_disk(self, key: str, count: int, compute: Callable[[range], Array]) -> Array:
        path = self.folder / key[:2] / f"{key}.npy"
        if (found := _read(path)) is not None:
            return found
        if self._writable:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with FileLock(path.with_suffix(".lock")):
                    # Read again: another process may have written the entry while this one waited for the lock.
                    if (found := _read(path)) is None:
                        _write(path, count, compute)
                        self._evict(keep=path)
                        found = _read(path)
            except OSError as error:
                self._writable = False
                reason = error.strerror or error
                log.warning("cache %s cannot be written (%s): going on without it", self.folder, reason)
        return np.concatenate([compute(rows) for rows in _chunks(count)]) if found is None else found

    def _remember(self, key: str, array: Array) -> None:
        self._recent[key] = array
        held = sum(kept.nbytes for kept in self._recent.values())
        while held > self._memory_bytes and len(self._recent) > 1:
            held -= self._recent.popitem(last=False)[1].nbytes

    def _evict(self, keep: Path) -> None:
        entries = []
        for path in self.folder.glob("*/*.npy"):
            try:
                entries.append((path.stat(), path))
            except FileNotFoundError:
                continue
        excess = sum(stat.st_size for stat, _ in entries) - self._disk_bytes
        for stat, path in sorted(entries, key=lambda entry: entry[0].st_mtime):
            if excess <= 0:
                return
            if path != keep:
                path.unlink(missing_ok=True)
                path.with_suffix(".lock").unlink(missing_ok=True)
                excess -= stat.st_size


def _chunks(count: int) -> list[range]:
    """Ranges of CHUNK rows; for no rows one empty range, whose array still has the right shape."""
    return [range(start, min(start + CHUNK, count)) for start in range(0, max(count, 1), CHUNK)]


def _read(path: Path) -> Array | None:
    try:
        array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, EOFError) as error:
        log.warning("cache entry %s is unreadable (%s): computing it again", path, error)
        return None
    with contextlib.suppress(OSError):  # the folder may be read-only; the time of use decides what is deleted first
        os.utime(path)
    return array


def _write(path: Path, count: int, compute: Callable[[range], Array]) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream:
            for rows in _chunks(count):
                computed = np.ascontiguousarray(compute(rows))
                if not rows.start:
                    header = np.lib.format.header_data_from_array_1_0(computed)
                    np.lib.format.write_array_header_2_0(stream, header | {"shape": (count, *computed.shape[1:])})
                stream.write(computed.data)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
