"""A cache of arrays on disk and in memory, keyed by content, bounded, and safe under concurrent processes.

An entry is a `.npy` file followed by the SHA-256 of its key and of all bytes before. The digest is checked when a
process first opens the entry, so that a damaged file is noticed and made again.
"""

import contextlib
import hashlib
import logging
import os
import shutil
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np
from cachetools import LRUCache
from filelock import FileLock
from platformdirs import user_cache_path

from promptarena.benchmark.inputs.decoded_images import DecodedImages

CHUNK = 32
"""Rows are always computed this many at a time, whichever rows are requested. It decides bits: matrix products of
another number of rows may differ in the last bits."""

FORM = 2
"""The form of an entry, part of its file's name: entries of another form are not read, and deleted as unused ones."""

DIGEST_BYTES = 32
"""Length of the SHA-256 at the end of an entry."""

READ_BYTES = 1 << 20
"""Bytes that are read at a time to compute a digest."""

MAPPED = 256
"""How many arrays on the disk a process keeps open. They take address space and a file handle each, but no memory of
their own."""

log = logging.getLogger(__name__)
Array = np.ndarray


def local_cache_folder() -> Path | None:
    """The folder named by the environment variable PROMPTARENA_CACHE_LOCAL; None without it."""
    named = os.environ.get("PROMPTARENA_CACHE_LOCAL")
    return Path(named) if named else None


def default_cache_folder() -> Path:
    """The folder named by the environment variable PROMPTARENA_CACHE, else the user's cache folder."""
    named = os.environ.get("PROMPTARENA_CACHE")
    return Path(named) if named else user_cache_path("promptarena")


class ArrayCache:
    """Arrays by key. A missing array is computed once, by one thread of one process; others that need it wait.

    The cache only saves time and never stops a run: a damaged entry is computed again, and a folder that cannot be
    written is reported once and then not used. Machines may share the folder: an entry appears under its name when
    it is complete. Locks are on each machine's own disk, as NFS and Lustre may have none; two machines may
    compute the same array, with the same bytes.

    Args:
        folder: Where arrays are stored, as `.npy` files (never pickles).
        disk_mib: Most MiB on the disk; the least recently used arrays are deleted first.
        memory_mib: Most MiB of arrays that this process keeps in memory, where the folder cannot be written.
        local: A folder on this machine's own disk in which a copy of each entry is kept and read, with the same limit;
            None: entries are read where they are. A copy also stays when another machine deletes the entry.

    Attributes:
        decoded: The decoded images of few-shot splits, in memory only.
    """

    def __init__(self, folder: Path, disk_mib: int = 8192, memory_mib: int = 512, *, local: Path | None = None) -> None:
        self.folder = folder
        self._local = local
        self._disk_bytes = disk_mib << 20
        memory = memory_mib << 20
        # An array above the limit counts as all of it, so that it is kept alone and not computed for every batch.
        self._in_memory: LRUCache[str, Array] = LRUCache(memory, getsizeof=lambda array: min(array.nbytes, memory))
        self._mapped: LRUCache[str, Array] = LRUCache(MAPPED)
        self._lock = threading.Lock()
        # Reentrant: what computes an array may ask for the array of the same key.
        self._making: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)
        self._checked: set[str] = set()
        self._damaged: set[str] = set()
        self._writable = True
        self.decoded = DecodedImages()

    def get(
        self, key: str, count: int, compute: Callable[[range], Array], sound: Callable[[], bool] = lambda: True
    ) -> Array:
        """An array from the cache, computed first if it is missing.

        Args:
            key: A hexadecimal digest of everything that decides the array.
            count: The number of rows.
            compute: Computes the rows of a range, at most CHUNK of them. It must depend on what is in the key only.
            sound: Called when all rows are computed. False says that something else decided them too: the array is then
                returned but not kept.

        Returns:
            `count` rows, read-only. The array is memory-mapped from the disk where the folder can be written.
        """
        with self._lock:
            found, making = self._kept(key), self._making[key]
        if found is not None:
            return found
        with making:
            with self._lock:
                found = self._kept(key)  # another thread may have made it in the meantime
            if found is not None:
                return found
            found = self._on_disk(key, count, compute, sound)
            if found is None:
                found = computed(count, compute)
                found.flags.writeable = False
                if not sound():
                    return found
            found.flags.writeable = False
            with self._lock:
                (self._mapped if isinstance(found, np.memmap) else self._in_memory)[key] = found
        return found

    def _kept(self, key: str) -> Array | None:
        found: Array | None = self._mapped.get(key)
        return self._in_memory.get(key) if found is None else found

    def _on_disk(
        self, key: str, count: int, compute: Callable[[range], Array], sound: Callable[[], bool]
    ) -> Array | None:
        """The array in the entry of the key, which is written if it is missing; None when there can be no entry."""
        path = self.folder / key[:2] / f"{key}.{FORM}.npy"
        if (found := self._read(path, key, count)) is not None or not self._writable:
            return found
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(_lock_of(path)):
                # Read again: another process may have written the entry while this one waited for the lock.
                if (found := self._read(path, key, count)) is None and _write(path, key, count, compute, sound):
                    self._checked.add(key)
                    self._evict(self.folder, keep=path)
                    found = self._read(path, key, count)
        except OSError as error:
            self._writable = False
            reason = error.strerror or error
            log.warning("cache %s cannot be written (%s): going on without it", self.folder, reason)
        return found

    def _read(self, path: Path, key: str, count: int) -> Array | None:
        if (near := self._near(path)) is not None:
            if (found := self._read_at(near, key, count)) is not None:
                return found
            near.unlink(missing_ok=True)
        return self._read_at(path, key, count)

    def _near(self, path: Path) -> Path | None:
        """The copy of an entry on this machine's own disk, made if it is missing; None where there is none."""
        if self._local is None or not path.exists():
            return None
        near = self._local / path.parent.name / path.name
        if near.exists():
            with contextlib.suppress(OSError):  # it is in use, although only its copy is read
                os.utime(path)
            return near
        try:
            near.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=near.parent, suffix=".part")
            os.close(handle)
            try:
                shutil.copyfile(path, temporary)
                os.replace(temporary, near)
            finally:
                Path(temporary).unlink(missing_ok=True)
        except OSError:  # its disk is full, or the entry was deleted meanwhile
            return None
        self._evict(self._local, keep=near)
        return near

    def _read_at(self, path: Path, key: str, count: int) -> Array | None:
        try:
            if key not in self._checked:
                _check(path, key)
            array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
            if len(array) != count:
                raise ValueError(f"{len(array)} rows instead of {count}")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, EOFError, TypeError) as error:
            if key not in self._damaged:  # it is read again under the lock
                log.warning("cache entry %s is damaged or unreadable (%s): computing it again", path, error)
            self._damaged.add(key)
            self._checked.discard(key)
            return None
        self._checked.add(key)
        with contextlib.suppress(OSError):  # the folder may be read-only; the time of use decides what is deleted first
            os.utime(path)
        return array

    def _evict(self, folder: Path, keep: Path) -> None:
        entries = []
        for path in folder.glob("*/*.npy"):
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
                _lock_of(path).unlink(missing_ok=True)
                excess -= stat.st_size


def computed(count: int, compute: Callable[[range], Array]) -> Array:
    """An array with the bits that the cache would give, without a cache.

    Args:
        count: The number of rows.
        compute: Computes the rows of a range, at most CHUNK of them.

    Returns:
        `count` rows.
    """
    return np.concatenate([compute(rows) for rows in _chunks(count)])


def _lock_of(path: Path) -> Path:
    """The file by which the processes of this user on this machine take turns to make an entry."""
    folder = Path(tempfile.gettempdir()) / f"promptarena-locks-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / f"{hashlib.sha256(str(path.absolute()).encode()).hexdigest()}.lock"


def _chunks(count: int) -> list[range]:
    """Ranges of CHUNK rows; for no rows one empty range, whose array still has the right shape."""
    return [range(start, min(start + CHUNK, count)) for start in range(0, max(count, 1), CHUNK)]


def _check(path: Path, key: str) -> None:
    """Raise ValueError when an entry's bytes do not have the digest at its end."""
    sha = hashlib.sha256(key.encode())
    with path.open("rb") as stream:
        left = os.fstat(stream.fileno()).st_size - DIGEST_BYTES
        while left > 0 and (part := stream.read(min(left, READ_BYTES))):
            sha.update(part)
            left -= len(part)
        if stream.read() != sha.digest():
            raise ValueError("its bytes do not have its digest")


def _write(path: Path, key: str, count: int, compute: Callable[[range], Array], sound: Callable[[], bool]) -> bool:
    """Write an entry, which appears under its name when it is complete; False when it is not to be kept."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream:
            hashed = _Hashed(stream, key)
            for rows in _chunks(count):
                computed = np.ascontiguousarray(compute(rows))
                if not rows.start:
                    header = np.lib.format.header_data_from_array_1_0(computed)
                    np.lib.format.write_array_header_2_0(hashed, header | {"shape": (count, *computed.shape[1:])})
                hashed.write(computed.data)
            stream.write(hashed.digest())
            if not sound():
                return False
            stream.flush()
            os.fsync(stream.fileno())  # else a crash of the machine could leave the name without the content
        os.replace(temporary, path)
        return True
    finally:
        Path(temporary).unlink(missing_ok=True)


class _Hashed:
    """Writes to a stream and hashes what is written."""

    def __init__(self, stream: IO[bytes], key: str) -> None:
        self._stream = stream
        self._sha = hashlib.sha256(key.encode())

    def write(self, content: bytes | memoryview) -> None:
        self._sha.update(content)
        self._stream.write(content)

    def digest(self) -> bytes:
        return self._sha.digest()
