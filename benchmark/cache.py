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

log = logging.getLogger(__name__)
Array = np.ndarray


def default_cache_folder() -> Path:
    """`PROMPTARENA_CACHE`, else the user's cache folder."""
    named = os.environ.get("PROMPTARENA_CACHE")
    return Path(named) if named else user_cache_path("promptarena")


class ArrayCache:
    """Arrays by key. What is missing is computed once, by one process, while others that want it wait.

    folder: where arrays lie as `.npy` files (never pickles). disk_mib, memory_mib: bounds; the least recently used go
    first. The cache only ever saves time: an unreadable entry is computed again, an unwritable folder is reported
    once and done without.
    """

    def __init__(self, folder: Path, disk_mib: int = 8192, memory_mib: int = 512) -> None:
        self.folder = folder
        self._disk_bytes = disk_mib << 20
        self._memory_bytes = memory_mib << 20
        self._recent: OrderedDict[str, Array] = OrderedDict()
        self._writable = True

    def get(self, key: str, compute: Callable[[], Array]) -> Array:
        """The array of this key (hex digest), read-only; `compute` must be a pure function of what the key says."""
        found = self._recent.get(key)
        if found is None:
            found = self._on_disk(key, compute)
            found.flags.writeable = False
            self._remember(key, found)
        self._recent.move_to_end(key)
        return found

    def _on_disk(self, key: str, compute: Callable[[], Array]) -> Array:
        path = self.folder / key[:2] / f"{key}.npy"
        if (found := _read(path)) is not None or not self._writable:
            return compute() if found is None else found
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path.with_suffix(".lock"))
            lock.acquire()
        except OSError as error:
            return self._give_up_writing(error, compute())
        try:
            if (found := _read(path)) is None:
                found = compute()
                try:
                    _write(path, found)
                    self._evict(keep=path)
                except OSError as error:
                    self._give_up_writing(error, found)
            return found
        finally:
            lock.release()

    def _give_up_writing(self, error: OSError, array: Array) -> Array:
        self._writable = False
        log.warning("cache %s cannot be written (%s): going on without it", self.folder, error.strerror or error)
        return array

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


def _read(path: Path) -> Array | None:
    try:
        array: Array = np.load(path, allow_pickle=False)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, EOFError) as error:
        log.warning("cache entry %s is unreadable (%s): computing it again", path, error)
        return None
    with contextlib.suppress(OSError):  # a folder that may only be read
        os.utime(path)
    return array


def _write(path: Path, array: Array) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream:
            np.save(stream, array, allow_pickle=False)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
