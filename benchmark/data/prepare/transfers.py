"""Downloads one file from a web server, the Hugging Face Hub or Google Drive; interrupted downloads are resumed.

The bytes are collected in a folder of the file's own (the "desk" in this code), with a note that says which file they
belong to. A later process can resume from there. Files of the Hub are downloaded like those of web servers:
huggingface_hub gives address, token and cached files, but its own downloads start again in every process.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from promptarena.benchmark.core.errors import first_line
from promptarena.benchmark.data.prepare.disk_space import full_disk_reported, require_space
from promptarena.benchmark.data.sources import HubFile, drive_file, hub_file

if TYPE_CHECKING:
    from requests import Response, Session
    from urllib3 import Retry

_CHUNK = 1 << 20
_WORTH_GOING_ON = 1 << 20
"""After this many new bytes a broken connection gets all its attempts again."""
_WORTH_ANOTHER_TRY = (429, 500, 502, 503, 504)
_SHA256 = re.compile(r"[0-9a-f]{64}")

Report = Callable[[int, int | None], None]
"""Called with the bytes received so far and the size of the file in bytes (None: unknown)."""


class TransferError(Exception):
    """An address does not give the file; the message says why in a few words."""


@dataclass(frozen=True)
class RetryPolicy:
    """Time limits and repeats for slow or failing servers.

    `connect_seconds` and `read_seconds` limit the wait for a connection and for more bytes. After a lost connection or
    a server error there are `attempts` more, after `backoff_seconds` times 1, 2, 4, …; a transfer that received a
    mebibyte in between gets all attempts again.
    """

    connect_seconds: float = 20.0
    read_seconds: float = 60.0
    attempts: int = 5
    backoff_seconds: float = 1.0

    @property
    def timeout(self) -> tuple[float, float]:
        """The limits in the form that `requests` takes: (connect, read) in seconds."""
        return self.connect_seconds, self.read_seconds

    def retries(self) -> "Retry":
        """The repeats in the form that `urllib3` takes; fewer for an unreachable server than for one with errors."""
        from urllib3 import Retry

        return Retry(
            total=self.attempts,
            connect=min(self.attempts, 2),
            backoff_factor=self.backoff_seconds,
            status_forcelist=_WORTH_ANOTHER_TRY,
            raise_on_status=False,
            respect_retry_after_header=False,
        )


@dataclass(frozen=True)
class Received:
    """A complete file at `path`; `sha256` is what the server reports.

    `continued` says that it came in several pieces, which may be of different versions of the file.
    """

    path: Path
    continued: bool = False
    sha256: str | None = None


class _Manifest(BaseModel):
    """The file that a partial download belongs to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    validator: str | None
    size: int | None
    sha256: str | None


def transfer(url: str, partial_dir: Path, retries: RetryPolicy, report: Report, *, checked: bool) -> Received:
    """Download a file, or resume its download.

    Args:
        url: The address (see sources.py).
        partial_dir: The folder for the partial download.
        retries: Time limits and repeats.
        report: Called as bytes arrive.
        checked: Whether the caller knows a checksum. Only then are pieces joined that the server does not identify as
            parts of the same file.

    Returns:
        The complete file, in `partial_dir` or in the Hub's own cache.

    Raises:
        TransferError: The address does not give the file.
        DiskFullError: The disk is full.
        OSError: A file cannot be written.
    """
    if drive := drive_file(url):
        return _from_drive(drive, partial_dir, retries, report)
    if hub := hub_file(url):
        return _from_hub(hub, url, partial_dir, retries, report, checked)
    return _WebTransfer(url, url, {}, partial_dir, retries, report, checked).run()


def started_from(partial_dir: Path) -> str | None:
    """The address that a partial download came from; None when there is no partial download."""
    manifest = _read_manifest(partial_dir)
    return None if manifest is None else manifest.url


class _WebTransfer:
    """Downloads one file over HTTP; `name` is the address that the note records."""

    def __init__(
        self,
        name: str,
        address: str,
        headers: dict[str, str],
        partial_dir: Path,
        retries: RetryPolicy,
        report: Report,
        checked: bool,
    ) -> None:
        self._name = name
        self._address = address
        self._headers = headers | {"Accept-Encoding": "identity"}
        self._partial_dir = partial_dir
        self._part = partial_dir / "part"
        self._retries = retries
        self._report = report
        self._checked = checked
        self._continued = False

    def run(self) -> Received:
        from urllib3.exceptions import HTTPError, MaxRetryError

        fresh = retries = self._retries.retries()
        with _session(self._retries) as session:
            while True:
                before = self._size()
                try:
                    self._attempt(session)
                    break
                except HTTPError as error:
                    if self._size() - before >= _WORTH_GOING_ON:
                        retries = fresh
                    try:
                        retries = retries.increment("GET", self._address, error=error)
                    except MaxRetryError as last:
                        raise TransferError("the connection breaks off again and again") from last
                    retries.sleep()
        manifest = _read_manifest(self._partial_dir)
        return Received(self._part, self._continued, None if manifest is None else manifest.sha256)

    def _attempt(self, session: "Session") -> None:
        """One request. Raises urllib3's HTTPError when another one may continue."""
        import requests
        from urllib3.exceptions import ProtocolError

        manifest = _read_manifest(self._partial_dir)
        have = self._resumable(manifest)
        if manifest is not None and manifest.size is not None and have == manifest.size:
            self._continued = True
            return
        headers = dict(self._headers)
        if manifest is not None and have:
            headers["Range"] = f"bytes={have}-"
            if manifest.validator is not None:
                headers["If-Range"] = manifest.validator
        try:
            response = session.get(self._address, headers=headers, stream=True, timeout=self._retries.timeout)
        except requests.RequestException as error:
            raise TransferError(_reason(error)) from error
        with response:
            if manifest is not None and have and response.status_code in (206, 416):
                if not _goes_on(response, manifest, have):
                    self._part.unlink()
                    raise ProtocolError("the server answers with another part than asked for")
                self._continued = True
                self._receive(response, have, manifest.size)
            elif response.status_code == 200:
                self._receive(response, 0, _length(response))
            else:
                raise TransferError(f"HTTP {response.status_code} {response.reason}")

    def _receive(self, response: "Response", have: int, size: int | None) -> None:
        from urllib3.exceptions import ProtocolError

        if size is not None:
            require_space(self._partial_dir.parent, size - have)
        with full_disk_reported(self._partial_dir.parent, None if size is None else size - have):
            if not have:
                self._part.write_bytes(b"")
                _write_manifest(self._partial_dir, _Manifest(url=self._name, size=size, **_identity(response)))
            with self._part.open("ab") as stream:
                for chunk in response.raw.stream(_CHUNK, decode_content=False):
                    stream.write(chunk)
                    have += len(chunk)
                    self._report(have, size)
        if size is not None and have < size:
            raise ProtocolError(f"{have} of {size} bytes came")

    def _resumable(self, manifest: _Manifest | None) -> int:
        """The number of bytes after which the download can be resumed; 0 means from the beginning."""
        if manifest is None or manifest.url != self._name:
            return 0
        if manifest.validator is None and manifest.sha256 is None and not self._checked:
            return 0
        have = self._size()
        return have if manifest.size is None or have <= manifest.size else 0

    def _size(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0


def _from_hub(
    hub: HubFile, url: str, partial_dir: Path, retries: RetryPolicy, report: Report, checked: bool
) -> Received:
    from huggingface_hub import constants, get_token, hf_hub_url, try_to_load_from_cache

    cached = try_to_load_from_cache(hub.repository, hub.path, revision=hub.revision, repo_type=hub.kind)
    if isinstance(cached, str):
        return Received(Path(cached))
    if constants.HF_HUB_OFFLINE:
        raise TransferError("HF_HUB_OFFLINE is set")
    address = hf_hub_url(hub.repository, hub.path, revision=hub.revision, repo_type=hub.kind)
    token = get_token()
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return _WebTransfer(url, address, headers, partial_dir, retries, report, checked).run()


def _from_drive(file: str, partial_dir: Path, retries: RetryPolicy, report: Report) -> Received:
    import gdown
    import requests

    target = partial_dir / f"drive-{file}"
    begun = sorted(partial_dir.glob(f"{target.name}????????.part"))
    announced: list[int] = []

    def watch(have: int, size: int | None) -> None:
        if size is not None and not announced:
            require_space(partial_dir.parent, size - have)
            announced.append(size)
        report(have, size)

    if target.exists():
        return Received(target, continued=True)
    try:
        with full_disk_reported(partial_dir.parent):
            gdown.download(
                id=file,
                output=str(target),
                quiet=True,
                use_cookies=False,
                resume=True,
                progress=watch,
                timeout=retries.timeout,
                retries=retries.attempts,
            )
    except gdown.FileURLRetrievalError as error:
        raise TransferError("Google Drive does not give it out (its download limit, or no longer public)") from error
    except gdown.DownloadError as error:
        if begun and ("byte range" in str(error) or "multiple temporary files" in str(error)):
            for path in begun:
                path.unlink()
            return _from_drive(file, partial_dir, retries, report)
        cause = error.__cause__
        failure = cause if isinstance(cause, requests.ConnectionError | requests.Timeout) else error
        raise TransferError(_reason(failure)) from error
    except requests.RequestException as error:
        raise TransferError(_reason(error)) from error
    return Received(target, continued=bool(begun))


def _session(retries: RetryPolicy) -> "Session":
    import requests
    from requests.adapters import HTTPAdapter

    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retries.retries()))
    return session


def _goes_on(response: "Response", manifest: _Manifest, have: int) -> bool:
    """Whether a server's answer is the requested rest of the same file."""
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    if response.status_code != 206 or found is None or int(found[1]) != have:
        return False
    if manifest.size is not None and found[2] not in ("*", str(manifest.size)):
        return False
    now = _identity(response)
    return all(now[key] in (None, before) for key, before in manifest.model_dump(include=set(now)).items())


def _identity(response: "Response") -> dict[str, str | None]:
    """What identifies the version of a file: the server's validator, and the Hub's SHA-256 of a large file."""
    tag = response.headers.get("ETag")
    strong = tag is not None and not tag.startswith("W/")
    linked = (step.headers.get("X-Linked-Etag", "").strip('"') for step in (*response.history, response))
    return {
        "validator": tag if strong else response.headers.get("Last-Modified"),
        "sha256": next(filter(_SHA256.fullmatch, linked), None),
    }


def _length(response: "Response") -> int | None:
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None


def _reason(error: BaseException) -> str:
    import requests

    if isinstance(error, requests.exceptions.SSLError):
        return "no safe connection (certificate)"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.ConnectionError):
        return "cannot be reached"
    return first_line(error)


def _read_manifest(partial_dir: Path) -> _Manifest | None:
    try:
        return _Manifest.model_validate_json((partial_dir / "note.json").read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _write_manifest(partial_dir: Path, manifest: _Manifest) -> None:
    temporary = partial_dir / "note.json.new"
    temporary.write_text(manifest.model_dump_json(), encoding="utf-8")
    os.replace(temporary, partial_dir / "note.json")
