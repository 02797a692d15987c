"""The image pack: one atlas of 64 x 64 sprites per style, a manifest of what each sprite shows, and checksums."""

import csv
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from promptarena.benchmark.core.errors import UserError, unknown
from promptarena.benchmark.core.keys import digest, file_digest
from promptarena.benchmark.core.paths import MINIATURE

SPRITE = 64
"""Side of a sprite in pixels."""
COLUMNS = 32
"""Sprites per row of an atlas."""

_INDEX = "pack.json"
_DATA = {".webp", ".csv", ".json"}
_REPAIR = "reinstall promptarena, or restore the folder from the repository"


def pack_dir() -> Path:
    """Folder of the image pack."""
    return MINIATURE / "pack"


def read_index(folder: Path) -> dict[str, str]:
    """SHA-256 of the pack's data files in `folder`, by name. Raises UserError if the index is missing or unreadable."""
    path = folder / _INDEX
    try:
        files = json.loads(path.read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"the miniature's image pack has no readable index {path}; {_REPAIR}") from error
    return {str(name): str(value) for name, value in files.items()}


def write_index(folder: Path) -> None:
    """Write the index over the atlases, the manifest and the concepts in `folder`."""
    files = {
        path.name: file_digest(path)
        for path in sorted(folder.iterdir())
        if path.suffix in _DATA and path.name != _INDEX
    }
    (folder / _INDEX).write_text(json.dumps({"files": files}, indent=1) + "\n", encoding="utf-8")


def pack_digest() -> str:
    """SHA-256 identity of the pack, taken from its index alone."""
    return digest(read_index(pack_dir()))


def verified(folder: Path, name: str) -> Path:
    """Path of the pack's file `name`, its bytes checked against the index. Raises UserError if missing or damaged."""
    expected = read_index(folder).get(name)
    path = folder / name
    if expected is None or not path.is_file():
        raise UserError(f"the miniature's image pack lacks {path}; {_REPAIR}")
    if file_digest(path) != expected:
        raise UserError(f"the miniature's image pack is damaged: {path} does not match its checksum; {_REPAIR}")
    return path


@dataclass(frozen=True)
class Style:
    """The sprites of one icon set.

    `pixels` is uint8, (n, 4, 64, 64), RGBA; a one-colour style is white with the drawing in alpha, to be tinted.
    `rows` gives the sprites of each concept (more than one only for typefaces).
    """

    name: str
    one_colour: bool
    pixels: npt.NDArray[np.uint8]
    rows: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Concept:
    """What a sprite shows: its English name and its group, subgroup and tags."""

    name: str
    group: str
    subgroup: str
    tags: tuple[str, ...]


class Pack:
    """The pack in `folder`; each atlas is read and verified at first use."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with verified(folder, "manifest.csv").open(encoding="utf-8", newline="") as stream:
            self._manifest = tuple(csv.DictReader(stream))
        raw = json.loads(verified(folder, "concepts.json").read_text(encoding="utf-8"))
        self.concepts: Mapping[str, Concept] = {
            key: Concept(value["name"], value["group"], value["sub"], tuple(value["tags"]))
            for key, value in raw.items()
        }
        self._styles: dict[str, Style] = {}

    def style_names(self, role: str | None = None) -> tuple[str, ...]:
        """Names of the styles in manifest order; `role` ("pretrain" or "eval") keeps those of one role."""
        return tuple(dict.fromkeys(row["style"] for row in self._manifest if role in (None, row["role"])))

    def style(self, name: str) -> Style:
        """The style `name`. Raises UserError for an unknown name or a damaged atlas."""
        if name not in self._styles:
            self._styles[name] = self._read(name)
        return self._styles[name]

    def _read(self, name: str) -> Style:
        rows = [row for row in self._manifest if row["style"] == name]
        if not rows:
            raise unknown("image style", name, self.style_names())
        by_concept: dict[str, list[int]] = {}
        for row in rows:
            by_concept.setdefault(row["concept"], []).append(int(row["index"]))
        one_colour = rows[0]["kind"] == "mono"
        pixels = _read_atlas(verified(self._folder, f"{name}.webp"), len(rows), one_colour)
        return Style(name, one_colour, pixels, {key: tuple(value) for key, value in by_concept.items()})


def _read_atlas(path: Path, count: int, one_colour: bool) -> npt.NDArray[np.uint8]:
    with Image.open(path) as image:
        grid = np.asarray(image.convert("L" if one_colour else "RGBA"))
    rows = grid.shape[0] // SPRITE
    cells = grid.reshape(rows, SPRITE, COLUMNS, SPRITE, -1).transpose(0, 2, 4, 1, 3)
    sprites = cells.reshape(rows * COLUMNS, -1, SPRITE, SPRITE)[:count]
    if one_colour:
        white = np.full((count, 3, SPRITE, SPRITE), 255, np.uint8)
        sprites = np.concatenate([white, sprites], axis=1)
    return np.ascontiguousarray(sprites)


@functools.cache
def load_pack() -> Pack:
    """The shipped pack. Raises UserError when it is missing or damaged."""
    return Pack(pack_dir())
