"""The folder of downloads: files put there by hand and files fetched, told apart, checked, never mixed up.

`NAME` is a whole file. `.NAME/` is its desk while it is fetched (see transfers.py), and afterwards holds a note of what
was fetched, so that only that is ever deleted.
"""

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from promptarena.benchmark.data.prepare.progress import Progress, Step
from promptarena.benchmark.data.prepare.transfers import (
    Patience,
    Received,
    Report,
    TransferError,
    started_from,
    transfer,
)
from promptarena.benchmark.data.sources import SourceFile, browser_address

_CHUNK = 1 << 20


class FetchError(Exception):
    """A file cannot be had; the message says why in a few words, per address."""


class _Fetched(BaseModel):
    """The file that was fetched, so that another one under its name is not taken for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Downloads:
    """Fetches files into `folder`."""

    folder: Path
    patience: Patience
    progress: Progress

    def path(self, file: SourceFile) -> Path:
        """Where the whole file lies or has to be put."""
        return self.folder / file.name

    def fetch(self, file: SourceFile) -> Path:
        """The whole file, checked against its checksum.

        One that is there already is used; when it is wrong and was not fetched here, it is kept and refused. Raises
        FetchError when no address gives the file, DiskFullError, OSError.
        """
        path = self.path(file)
        if path.exists():
            problem = self._problem(file, path, None)
            if problem is None:
                return path
            if not self._was_fetched(file):
                raise FetchError(f"{path} {problem}; it is kept but not used: replace or delete it")
            self.discard(file)
        if not file.urls:
            raise FetchError("no address serves it, it has to be put there by hand")
        reasons = []
        begun = started_from(self._desk(file))
        for url in sorted(file.urls, key=lambda url: url != begun):
            try:
                return self._fetch_from(url, file)
            except TransferError as error:
                reasons.append(f"{urlsplit(browser_address(url)).hostname}: {error}")
        raise FetchError("; ".join(reasons))

    def discard(self, file: SourceFile) -> bool:
        """Deletes what was fetched of a file, also in part; True when that was the whole file. A file put there by
        hand stays."""
        fetched = self._was_fetched(file)
        if fetched:
            self.path(file).unlink(missing_ok=True)
        shutil.rmtree(self._desk(file), ignore_errors=True)
        return fetched

    def holds_leftovers(self, file: SourceFile) -> bool:
        """Whether `discard` has anything to delete."""
        return self._desk(file).is_dir()

    def _fetch_from(self, url: str, file: SourceFile) -> Path:
        desk = self._desk(file)
        problem: str | None = None
        for _ in range(2):
            desk.mkdir(parents=True, exist_ok=True)
            received = transfer(url, desk, self.patience, self._report(file), checked=file.checksum is not None)
            problem = self._problem(file, received.path, received.sha256)
            if problem is None:
                return self._keep(file, received)
            shutil.rmtree(desk)
            if not received.continued:
                break
        raise TransferError(f"what it gives {problem}")

    def _keep(self, file: SourceFile, received: Received) -> Path:
        if received.path.parent != self._desk(file):
            return received.path
        status = received.path.stat()
        note = _Fetched(size=status.st_size, mtime_ns=status.st_mtime_ns)
        self._fetched_note(file).write_text(note.model_dump_json(), encoding="utf-8")
        os.replace(received.path, self.path(file))
        return self.path(file)

    def _was_fetched(self, file: SourceFile) -> bool:
        try:
            status = self.path(file).stat()
            note = _Fetched.model_validate_json(self._fetched_note(file).read_bytes())
        except (FileNotFoundError, ValidationError):
            return False
        return note == _Fetched(size=status.st_size, mtime_ns=status.st_mtime_ns)

    def _problem(self, file: SourceFile, path: Path, sha256: str | None) -> str | None:
        """What is wrong with a whole file, as the end of a sentence; None when nothing is."""
        if not path.is_file():
            return "is not a file"
        for expected in filter(None, (file.checksum, sha256 and f"sha256:{sha256}")):
            seen = self._checksum(file, path, expected.partition(":")[0])
            if seen != expected:
                return f"has the wrong checksum ({seen}, expected {expected})"
        return None

    def _checksum(self, file: SourceFile, path: Path, algorithm: str) -> str:
        total = path.stat().st_size
        seen = hashlib.new(algorithm, usedforsecurity=False)
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                seen.update(chunk)
                self.progress(Step("check", file.name, stream.tell(), total))
        return f"{algorithm}:{seen.hexdigest()}"

    def _report(self, file: SourceFile) -> Report:
        return lambda have, size: self.progress(Step("download", file.name, have, size))

    def _desk(self, file: SourceFile) -> Path:
        return self.folder / f".{file.name}"

    def _fetched_note(self, file: SourceFile) -> Path:
        return self._desk(file) / "fetched.json"
