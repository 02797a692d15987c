"""Full disks: reported in one line, before a long download or when writing fails."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.filesize import decimal

from promptarena.benchmark.core.errors import UserError

_FULL = {errno.ENOSPC, errno.EDQUOT}


class DiskFullError(UserError):
    """The disk has too little free space."""


def require_space(folder: Path, needed: int) -> None:
    """Raise DiskFullError when fewer than `needed` bytes are free on the disk of `folder`."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DiskFullError(f"the disk of {folder} is full: {decimal(needed)} are needed, {decimal(free)} are free")


@contextmanager
def full_disk_reported(folder: Path, needed: int | None = None) -> Iterator[None]:
    """Turn the system's "no space left" or "quota exceeded" into a DiskFullError; `needed`: bytes left to write."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        amount = "" if needed is None else f": {decimal(needed)} were still to be written"
        raise DiskFullError(f"the disk of {folder} is full{amount}") from error
