"""Unpacks archives that are not trusted: nothing is written outside the folder, and the total size is limited.

Members are written one by one as plain files; `tarfile` and `zipfile` only read. A link in a tar archive becomes a copy
of the file it points to, so no link is ever followed while writing.
"""

import errno
import gzip
import lzma
import os
import posixpath
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from promptarena.benchmark.core.errors import first_line
from promptarena.benchmark.data.prepare.disk_space import full_disk_reported
from promptarena.benchmark.data.prepare.progress import Progress, Step
from promptarena.benchmark.data.sources import TOP_FOLDER, stays_inside

GROWTH = 4
"""An archive may hold this many times its own size, and SLACK bytes more."""

SLACK = 64 << 20

MAX_MEMBERS = 3_000_000
"""An archive may have this many members."""

_CHUNK = 1 << 20
_DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    struct.error,
    NotImplementedError,
    ValueError,
)
_BAD_NAMES = {errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.EILSEQ, errno.ENOTEMPTY}


class UnpackError(Exception):
    """An archive cannot be unpacked; the message says why in a few words."""


class UnsafeArchiveError(UnpackError):
    """A member would be written outside the folder or is neither file nor folder, or the archive is too large."""


class DamagedArchiveError(UnpackError):
    """The archive is truncated, corrupt, or of an unknown kind."""


class Unpacker:
    """Writes members of archives into `folder`, within the limits above; `packed_bytes` is the archives' total size."""

    def __init__(self, folder: Path, packed_bytes: int) -> None:
        self._folder = folder
        self._limit = GROWTH * packed_bytes + SLACK
        self._bytes = 0
        self._members = 0
        self._made: set[Path] = set()

    def add_file(self, name: str, content: IO[bytes]) -> None:
        """Write one file; `name` has `/` between its parts. Raises UnsafeArchiveError."""
        path = self._path(name)
        self._make(path.parent)
        with full_disk_reported(self._folder), _named(name), path.open("wb") as stream:
            while chunk := content.read(_CHUNK):
                self._spend(len(chunk))
                stream.write(chunk)

    def add_folder(self, name: str) -> None:
        """Create one folder. Raises UnsafeArchiveError."""
        self._make(self._path(name))

    def add_copy(self, name: str, target: str) -> None:
        """Write a copy, as `name`, of the file that was written as `target`. Raises UnsafeArchiveError."""
        source = self._path(target)
        if not source.is_file():
            raise UnsafeArchiveError(f"its link {name!r} points to no file of it")
        with source.open("rb") as content:
            self.add_file(name, content)

    def skip(self, size: int) -> None:
        """Count a member that is not written towards the limits."""
        self._members += 1
        self._spend(size)

    def _path(self, name: str) -> Path:
        self._members += 1
        if self._members > MAX_MEMBERS:
            raise UnsafeArchiveError(f"it has more than {MAX_MEMBERS} members")
        if not stays_inside(name):
            raise UnsafeArchiveError(f"its member {name!r} lies outside of it")
        return self._folder / PurePosixPath(name)

    def _spend(self, size: int) -> None:
        self._bytes += size
        if self._bytes > self._limit:
            raise UnsafeArchiveError(f"it unpacks to more than {self._limit} bytes, {GROWTH} times its size and more")

    def _make(self, folder: Path) -> None:
        if folder not in self._made:
            with full_disk_reported(self._folder), _named(folder.name):
                folder.mkdir(parents=True, exist_ok=True)
            self._made.add(folder)


def unpack(archive: Path, folder: Path, take: str, nested: Sequence[str], progress: Progress) -> None:
    """Unpack one folder of an archive, then the archives in it; the files that macOS adds to archives are left out.

    Args:
        archive: The archive.
        folder: Where to write; created if it does not exist.
        take: The folder of the archive whose contents are written (see `SourceFile`).
        nested: Paths of archives inside `folder` to unpack afterwards, and then delete.
        progress: Called with the bytes of the archive that are done.

    Raises:
        UnpackError: The archive is damaged, unsafe, or lacks what is expected.
        DiskFullError: The disk is full.
        OSError: A file cannot be read or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".unpack-") as scratch:
        unpack_whole(archive, Path(scratch), progress)
        _merge(_taken(Path(scratch), take), folder)
    for path in nested:
        inner = folder / path
        if not inner.is_file():
            raise DamagedArchiveError(f"it lacks {path!r}")
        unpack(inner, inner.parent, "", (), progress)
        inner.unlink()


def unpack_whole(archive: Path, folder: Path, progress: Progress) -> None:
    """Unpack a whole archive into `folder`, which must exist. Raises the errors of `unpack`."""
    size = archive.stat().st_size
    unpacker = Unpacker(folder, size)
    with damage_reported():
        members = _unpack_zip if archive.name.endswith(".zip") else _unpack_tar
        for done in members(archive, unpacker):
            progress(Step("unpack", archive.name, min(done, size), size))


@contextmanager
def damage_reported() -> Iterator[None]:
    """Turn the exceptions that `tarfile` and `zipfile` raise for damaged archives into a DamagedArchiveError."""
    try:
        yield
    except _DAMAGED as error:
        reason = first_line(error)
        raise DamagedArchiveError(f"it is damaged or cut off ({reason})") from error


def is_dropping(name: str) -> bool:
    """Whether a member is one that macOS adds to archives."""
    parts = PurePosixPath(name).parts
    return any(part in ("__MACOSX", ".DS_Store") or part.startswith("._") for part in parts)


def _unpack_zip(archive: Path, unpacker: Unpacker) -> Iterator[int]:
    done = 0
    with zipfile.ZipFile(archive) as packed:
        for member in packed.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise UnsafeArchiveError(f"its member {member.filename!r} is a link or a device")
            if member.flag_bits & 1:
                raise DamagedArchiveError("it is encrypted")
            if is_dropping(member.filename):
                unpacker.skip(0)
            elif member.filename.endswith("/"):
                unpacker.add_folder(member.filename)
            else:
                with packed.open(member) as content:
                    unpacker.add_file(member.filename, content)
            done += member.compress_size
            yield done


def _unpack_tar(archive: Path, unpacker: Unpacker) -> Iterator[int]:
    links: list[tuple[str, str]] = []
    with archive.open("rb") as raw, tarfile.open(fileobj=raw, mode="r:*") as packed:
        for member in packed:
            if is_dropping(member.name):
                unpacker.skip(member.size)
            elif member.isdir():
                unpacker.add_folder(member.name)
            elif member.issym():
                links.append((member.name, posixpath.join(posixpath.dirname(member.name), member.linkname)))
            elif member.islnk():
                links.append((member.name, member.linkname))
            elif member.isreg() and (content := packed.extractfile(member)) is not None:
                unpacker.add_file(member.name, content)
            else:
                raise UnsafeArchiveError(f"its member {member.name!r} is a device or a pipe")
            yield raw.tell()
        _read_to_the_end(packed)
    for name, target in links:
        unpacker.add_copy(name, posixpath.normpath(target))


def _read_to_the_end(packed: tarfile.TarFile) -> None:
    """Read on to the end of a compressed stream, so that its checksum, after the last member, is verified."""
    if packed.fileobj is not None:
        while packed.fileobj.read(_CHUNK):
            pass


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Report a member whose name cannot be written, e.g. because a folder is needed where a file has that name."""
    try:
        yield
    except OSError as error:
        if error.errno not in _BAD_NAMES:
            raise
        raise DamagedArchiveError(f"its member {name[:100]!r} cannot be written ({error.strerror})") from error


def _taken(folder: Path, take: str) -> Path:
    if take != TOP_FOLDER:
        if not (folder / take).is_dir():
            raise DamagedArchiveError(f"it has no folder {take!r}, but {_shown(folder)}")
        return folder / take
    top = list(folder.iterdir())
    if len(top) != 1 or not top[0].is_dir():
        raise DamagedArchiveError(f"one folder is expected at its top, but there is {_shown(folder)}")
    return top[0]


def _shown(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir())
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "") or "nothing"


def _merge(source: Path, target: Path) -> None:
    """Move the contents of one folder into another; folders in both are merged, files are replaced."""
    for path in source.iterdir():
        place = target / path.name
        if path.is_dir() and place.is_dir():
            _merge(path, place)
        else:
            with _named(path.name):
                os.replace(path, place)
