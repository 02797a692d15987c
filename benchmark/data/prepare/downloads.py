"""The folder of downloads, which holds both downloaded files and files that the user put there.

`NAME` is a complete file. A partial download lives in the folder `.NAME/` (the "desk" in this code, see transfers.py);
afterwards `fetched.json` there marks `NAME` as downloaded, because only downloaded files may be deleted.
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
    Received,
    Report,
    RetryPolicy,
    TransferError,
    started_from,
    transfer,
)
from promptarena.benchmark.data.sources import SourceFile, browser_address

_CHUNK = 1 << 20


class FetchError(Exception):
    """A file cannot be downloaded; the message says why in a few words, per address."""


class _Fetched(BaseModel):
    """Size and modification time of the downloaded file; another file of that name does not have them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Downloads:
    """Downloads files into `folder`."""

    folder: Path
    retries: RetryPolicy
    progress: Progress

    def path(self, file: SourceFile) -> Path:
        """The path of the complete file, whether it exists or not."""
        return self.folder / file.name

    def fetch(self, file: SourceFile) -> Path:
        """Provide a complete file, checked against its checksum; download it unless it is there already.

        Args:
            file: The file of a source.

        Returns:
            Its path.

        Raises:
            FetchError: No address gives the file, or the user put a wrong one there, which is kept.
            DiskFullError: The disk is full.
            OSError: A file cannot be read or written.
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
        begun = started_from(self._partial_dir(file))
        for url in sorted(file.urls, key=lambda url: url != begun):
            try:
                return self._fetch_from(url, file)
            except TransferError as error:
                reasons.append(f"{urlsplit(browser_address(url)).hostname}: {error}")
        raise FetchError("; ".join(reasons))

    def discard(self, file: SourceFile) -> bool:
        """Delete a download, complete or partial; a file that the user put there stays.

        Returns:
            Whether a complete download was deleted.
        """
        fetched = self._was_fetched(file)
        if fetched:
            self.path(file).unlink(missing_ok=True)
        shutil.rmtree(self._partial_dir(file), ignore_errors=True)
        return fetched

    def holds_leftovers(self, file: SourceFile) -> bool:
        """Whether `discard` has anything to delete."""
        return self._partial_dir(file).is_dir()

    def _fetch_from(self, url: str, file: SourceFile) -> Path:
        partial_dir = self._partial_dir(file)
        problem: str | None = None
        for _ in range(2):
            partial_dir.mkdir(parents=True, exist_ok=True)
            received = transfer(url, partial_dir, self.retries, self._report(file), checked=file.checksum is not None)
            problem = self._problem(file, received.path, received.sha256)
            if problem is None:
                return self._keep(file, received)
            shutil.rmtree(partial_dir)
            if not received.continued:
                break
        raise TransferError(f"what it gives {problem}")

    def _keep(self, file: SourceFile, received: Received) -> Path:
        if received.path.parent != self._partial_dir(file):
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
        """What is wrong with a complete file, as the end of a sentence; None if nothing is."""
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

    def _partial_dir(self, file: SourceFile) -> Path:
        return self.folder / f".{file.name}"

    def _fetched_note(self, file: SourceFile) -> Path:
        return self._partial_dir(file) / "fetched.json"
