"""What the tests of fetching fetch, and a download that was begun."""

import hashlib
import random
from typing import Any

import pytest
from faulty_server import FaultyServer

from promptarena.benchmark.data.prepare.downloads import Downloads, FetchError
from promptarena.benchmark.data.prepare.progress import unheard
from promptarena.benchmark.data.prepare.transfers import RetryPolicy
from promptarena.benchmark.data.sources import SourceFile

CONTENT = random.Random(1).randbytes(3 << 20)
OTHER = random.Random(2).randbytes(3 << 20)
QUICK = RetryPolicy(connect_seconds=2.0, read_seconds=2.0, attempts=3, backoff_seconds=0.001)
CHILD = """
import sys
from pathlib import Path
from promptarena.benchmark.data.prepare.downloads import Downloads
from promptarena.benchmark.data.sources import SourceFile
from promptarena.benchmark.data.prepare.progress import unheard
from promptarena.benchmark.data.prepare.transfers import RetryPolicy
folder, url, checksum = sys.argv[1:]
Downloads(Path(folder), RetryPolicy(), unheard).fetch(SourceFile(name="a.zip", urls=(url,), checksum=checksum))
"""


def md5(content: bytes) -> str:
    return f"md5:{hashlib.md5(content).hexdigest()}"


def file(*urls: str, content: bytes | None = CONTENT, name: str = "a.zip") -> SourceFile:
    checksum = None if content is None else md5(content)
    return SourceFile(name=name, urls=urls, checksum=checksum, by_hand="ask")


def begin(downloads: Downloads, server: FaultyServer, bytes_kept: int, **faults: Any) -> SourceFile:
    """Leaves the first bytes of a download on the disk, as a process does that is stopped."""
    url = server.add("/a.zip", CONTENT, **faults)
    page = server.pages["/a.zip"]
    page.drops, page.drop_after = 1000, bytes_kept
    expected = file(url, content=faults.pop("known", CONTENT))
    with pytest.raises(FetchError, match="breaks off again and again"):
        Downloads(downloads.folder, RetryPolicy(attempts=0), unheard).fetch(expected)
    page.drops = 0
    server.requests.clear()
    server.sent.clear()
    return expected


class Usage:
    def __init__(self, free: int) -> None:
        self.free = free
