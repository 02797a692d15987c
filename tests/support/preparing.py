"""A small dataset with its sources on a local server, and processes that prepare it."""

import hashlib
import io
import json
import os
import signal
import sys
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from faulty_server import FaultyServer

from promptarena.benchmark.data.cards import Card, load_card
from promptarena.benchmark.data.prepare.dataset import Prepared, prepare
from promptarena.benchmark.data.prepare.progress import Step
from promptarena.benchmark.data.prepare.transfers import RetryPolicy
from promptarena.benchmark.data.splits import load_split

QUICK = RetryPolicy(connect_seconds=2.0, read_seconds=2.0, attempts=2, backoff_seconds=0.001)


PICTURES = {
    f"{name}/{number}.jpg": f"{name} {number}".encode() * 1000 for name in ("jay", "heron") for number in range(3)
}


ROWS = {
    "train": [["heron/0.jpg", 1, "heron"], ["jay/0.jpg", 0, "jay"]],
    "val": [["heron/1.jpg", 1, "heron"]],
    "test": [["jay/1.jpg", 0, "jay"], ["heron/2.jpg", 1, "heron"]],
}


SPLIT = json.dumps(ROWS).encode()


OWN_ROWS = ROWS | {"train": ROWS["train"][::-1]}


DEAD = "http://127.0.0.1:9/split.json"


CARD = """
name = "birds"
title = "Birds"
reader = "split_json"
template = "a photo of a {}."
licence = ""
citation = ""
description = ""
[counts]
train = 2
val = 1
test = 2
[options]
folder = "bird-set"
image_dir = "images"
split_file = "split_birds.json"
"""


def zipped(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return content.getvalue()


ARCHIVE = zipped({f"birds/{name}": content for name, content in PICTURES.items()})


MIRROR = zipped(
    {f"whatever/images/{name}": content for name, content in PICTURES.items()} | {"whatever/split_birds.json": SPLIT}
)


def md5(content: bytes) -> str:
    return f"md5:{hashlib.md5(content).hexdigest()}"


class World:
    """A folder of cards that stands for the package's, a server, and a data root."""

    def __init__(self, folder: Path, server: FaultyServer) -> None:
        self.server = server
        self.cards = folder / "cards"
        self.cards.mkdir()
        self.root = folder / "data"
        self.steps: list[Step] = []

    def card(self, *sources: str, name: str = "birds", text: str = CARD) -> Card:
        path = self.cards / f"{name}.toml"
        path.write_text(text.replace('"birds"', f'"{name}"') + "".join(sources), encoding="utf-8")
        return load_card(path)

    def official(self, archive: str | None = None, split: str | None = None, **fields: str) -> str:
        """A source of two files, at the addresses given or at the server's own."""
        archive = self.server.add("/birds.zip", ARCHIVE) if archive is None else archive
        split = self.server.add("/split.json", SPLIT) if split is None else split
        return source(
            "the authors",
            f'name = "birds.zip"\nurls = ["{archive}"]\nchecksum = "{md5(ARCHIVE)}"\ntake = "birds"\nto = "images"',
            f'name = "split.json"\nurls = ["{split}"]\nto = "split_birds.json"\nsplit = true',
        )

    def mirror(self, content: bytes = MIRROR, url: str | None = None) -> str:
        url = self.server.add("/mirror.zip", content) if url is None else url
        return source("a mirror", f'name = "birds-mirror.zip"\nurls = ["{url}"]\ntake = "*"')

    def prepare(self, card: Card, **options: Any) -> Prepared:
        return prepare(card, self.root, retries=QUICK, progress=self.steps.append, **options)

    @property
    def place(self) -> Path:
        return self.root / "bird-set"

    @property
    def downloads(self) -> Path:
        return self.root / "downloads"

    def assert_whole(self, card: Card) -> None:
        assert tree(self.place / "images") == PICTURES
        assert [load_split(card, split, self.root).keys for split in ("train", "val", "test")] == [
            tuple(row[0] for row in ROWS[split]) for split in ("train", "val", "test")
        ]

    def assert_tidy(self) -> None:
        assert sorted(path.name for path in self.root.iterdir()) == [".staging", "bird-set", "downloads"]
        assert list(self.downloads.iterdir()) == []
        assert [path.name for path in (self.root / ".staging").iterdir()] == ["birds.lock"]


def source(title: str, *files: str, build: str = "") -> str:
    return f'\n[[sources]]\ntitle = "{title}"\n{build}\n' + "".join(f"[[sources.files]]\n{file}\n" for file in files)


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def snapshot(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Every file and folder with its mode, time of change and bytes."""
    paths = [folder, *sorted(folder.rglob("*"))]
    return {
        str(path): (path.stat().st_mode, path.stat().st_mtime_ns, b"" if path.is_dir() else path.read_bytes())
        for path in paths
    }


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def one_line_each(prepared: Prepared) -> str:
    assert not [line for line in prepared.lines if "\n" in line or "Traceback" in line]
    return "\n".join(prepared.lines)


def code_of(prepared: Prepared) -> int:
    return {"prepared": 10, "already there": 20, "incomplete": 30}[prepared.state]


def killed_at(number: int, world: World, card: Card) -> int:
    """Prepares, but is killed at its `number`-th operation on files below the root."""
    left = [number]
    root = str(world.root)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event.split(".")[0] in ("open", "os", "shutil") and any(root in str(value) for value in arguments[:2]):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    return 0 if world.prepare(card).state == "prepared" else 1


def start_child(work: Callable[[], int]) -> int:
    child = os.fork()
    if child == 0:
        code = 99
        try:
            code = work()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return child


def end_child(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def in_child(work: Callable[[], int]) -> int:
    return end_child(start_child(work))
