"""Archives of every kind."""

import io
import random
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from promptarena.benchmark.data.prepare.archives import unpack
from promptarena.benchmark.data.prepare.progress import unheard

FILES = {
    "top/images/a/1.jpg": random.Random(1).randbytes(5000),
    "top/images/b/2.jpg": random.Random(2).randbytes(70_000),
    "top/list.txt": b"a\nb\n",
}
KINDS = ("zip", "tar", "tar.gz", "tgz")


def pack(path: Path, files: dict[str, bytes]) -> Path:
    """An archive of the kind that its name says."""
    if path.name.endswith(".zip"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, content in files.items():
                packed.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    else:
        with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as tar:
            for name, content in files.items():
                add(tar, name, content)
    return path


def add(tar: tarfile.TarFile, name: str, content: bytes = b"", **fields: Any) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for field, value in fields.items():
        setattr(member, field, value)
    tar.addfile(member, io.BytesIO(content))


def tarball(path: Path, fill: Callable[[tarfile.TarFile], None]) -> Path:
    with tarfile.open(path, "w") as tar:
        fill(tar)
    return path


def run(archive: Path, folder: Path, take: str = "", nested: Sequence[str] = ()) -> dict[str, bytes]:
    unpack(archive, folder, take, nested, unheard)
    return tree(folder)


def tree(folder: Path) -> dict[str, bytes]:
    assert not [path for path in folder.rglob("*") if path.is_symlink()]
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }
