"""Every kind of file that a user gives, damaged in any way: read, or refused in one line that names it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from e2e_inside import call
from e2e_world import MODEL, make_world
from hostile import changed, damaged, words
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packed import pack
from role_tables import table

from promptarena.benchmark.backbone.head_roles import RoleTable
from promptarena.benchmark.backbone.loading import load_backbone
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.paths import PUBLISHED
from promptarena.benchmark.data.prepare.archives import UnpackError, unpack_whole
from promptarena.benchmark.planning.suites import load_suite
from promptarena.benchmark.published.load import load_published

Tally = Callable[[str, int], None]
Read = Callable[[Path], object]


def verified(card: str) -> Read:
    """Verifies a dataset through the command line, whatever file of it was damaged."""

    def read(path: Path) -> None:
        ended = call("datasets", "verify", next(folder for folder in path.parents if (folder / card).exists()) / card)
        assert ended.code in (0, 1, 2)
        if ended.code == 2 and ended.err:
            (line,) = ended.err.splitlines()
            raise UserError(line)

    return read


def published(path: Path) -> None:
    load_published(path.parent)


def unpacked(path: Path) -> None:
    (path.parent / "out").mkdir(exist_ok=True)
    unpack_whole(path, path.parent / "out", lambda _: None)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world whose datasets have a class list and a split file too."""
    folder = make_world(tmp_path_factory.mktemp("world")).parent
    card = (folder / "plain.toml").read_text()
    (folder / "classes.txt").write_text("red\ngreen\nblue\nyellow\n")
    (folder / "listed.toml").write_text(card.replace("title =", 'class_file = "classes.txt"\ntitle =', 1))
    rows = {
        split: [
            [f"{split}/{colour}/{number}.png", label, colour]
            for label, colour in enumerate(("red", "green", "blue", "yellow"))
            for number in range(2)
        ]
        for split in ("train", "val", "test")
    }
    (folder / "split.json").write_text(json.dumps(rows))
    divided = card.replace('"folder"', '"split_json"') + 'split_file = "split.json"\n'
    (folder / "divided.toml").write_text(divided)
    return folder


MEMBERS = {f"{folder}/{number}.txt": b"text" * 20 for folder in ("a", "a/b") for number in range(2)}
TABLE = json.loads(table().text())
FAMILIES: dict[str, tuple[str | bytes, Read, int]] = {
    "suites": ("small.toml", lambda path: load_suite(str(path)), 120),
    "cards": ("plain.toml", verified("plain.toml"), 80),
    "class lists": ("classes.txt", verified("listed.toml"), 80),
    "splits": ("split.json", verified("divided.toml"), 80),
    "images": ("pictures/plain/train/red/0.png", verified("plain.toml"), 40),
    "architectures": ((MODEL / "open_clip_config.json").read_bytes(), lambda path: _backbone(path, None), 40),
    "weights": ((MODEL / "mini_clip.safetensors").read_bytes()[:4000], lambda path: _backbone(None, path), 40),
    "role tables": (json.dumps(TABLE).encode(), RoleTable.load, 100),
    "published CSV": ((PUBLISHED / "cross-dataset.csv").read_bytes()[:3000], published, 80),
    "archives": (b"", unpacked, 120),
}
NAMES = {
    "architectures": "config.json",
    "weights": "weights.safetensors",
    "role tables": "roles.json",
    "published CSV": "published.csv",
}


def _backbone(architecture: Path | None, weights: Path | None) -> None:
    load_backbone(
        architecture or MODEL / "open_clip_config.json", weights or MODEL / "mini_clip.safetensors", device="cpu"
    )


def attempt(read: Read, path: Path) -> None:
    """Read a file, or see that it is refused in one line."""
    refusal = "none"
    try:
        read(path)
    except (UserError, UnpackError) as error:
        refusal = str(error)
    assert refusal.strip()
    assert len(refusal.splitlines()) == 1, refusal


@pytest.mark.parametrize("family", FAMILIES)
def test_damaged_files(family: str, world: Path, tmp_path: Path, tally: Tally) -> None:
    source, read, examples = FAMILIES[family]
    path = world / source if isinstance(source, str) else tmp_path / NAMES.get(family, "file")
    whole = path.read_bytes() if isinstance(source, str) else source
    archives = {name: pack(tmp_path / name, MEMBERS).read_bytes() for name in ("a.zip", "a.tar.gz", "a.tar")}
    count = 0

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
    @given(st.data())
    def try_one(data: st.DataObject) -> None:
        nonlocal count, path
        count += 1
        content = whole
        if family == "archives":
            name = data.draw(st.sampled_from(sorted(archives)))
            path, content = tmp_path / name, archives[name]
        if family == "role tables" and data.draw(st.booleans()):
            path.write_text(json.dumps(data.draw(changed(TABLE))))
        else:
            path.write_bytes(data.draw(damaged(content)))
        attempt(read, path)

    try:
        try_one()
    finally:
        if isinstance(source, str):
            path.write_bytes(whole)
    tally(family, count)


def test_words_of_commands(here: Path, world: Path, tally: Tally) -> None:
    places: Any = st.sampled_from(
        [
            ("leaderboard", "?"),
            ("leaderboard", "small", "--from", "?"),
            ("leaderboard", "small", "--protocols", "?"),
            ("leaderboard", "small", "--format", "?"),
            ("report", "?"),
            ("export", "?", "--out", "out"),
            ("export", "small", "--out", "?"),
            ("import", "?"),
            ("methods", "show", "?"),
            ("published", "show", "?"),
            ("datasets", "list", "?"),
            ("datasets", "verify", "?"),
            ("ui", "--port", "?"),
            ("compare", "?", "--plan"),
            ("compare", str(world / "small.toml"), "--plan", "--methods", "?"),
            ("compare", str(world / "small.toml"), "--plan", "--seeds", "?"),
            ("compare", str(world / "small.toml"), "--plan", "--datasets", "?"),
            ("?",),
            ("?", "?"),
        ]
    )
    count = 0

    @settings(max_examples=160, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
    @given(places, words, words)
    def try_one(place: tuple[str, ...], first: str, second: str) -> None:
        nonlocal count
        count += 1
        given_words = iter((first, second))
        ended = call(*(next(given_words) if word == "?" else word for word in place))
        assert ended.code in (0, 2), ended
        if ended.code == 2:
            assert ended.err.splitlines()[-1].startswith("promptarena: "), ended
            assert len(ended.err.splitlines()) == 1 or place[:1] == ("datasets",), ended

    try_one()
    tally("words", count)
