"""Render the pack's style of printed digits from openly licensed typefaces.

    npm install --ignore-scripts @fontsource/kalam @fontsource/lato ...
    python -m tools.miniature.build_digits node_modules/@fontsource OUT_FOLDER

writes `digit-typefaces.webp` (one-colour alpha masks, lossless), `digit-typefaces.csv` (manifest rows) and
`digit-typefaces.md` (credits). Up to three weights of each typeface are drawn.
"""

import argparse
import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from fontTools.ttLib import TTFont  # type: ignore[import-untyped]
from PIL import Image, ImageDraw, ImageFont

from promptarena.benchmark.data.miniature.pack import COLUMNS, SPRITE

STYLE = "digit-typefaces"
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_OPEN = {"OFL-1.1", "Apache-2.0"}
_INK = SPRITE - 6


@dataclass(frozen=True)
class Typeface:
    """One weight of a typeface: its file, package name and version, and licence."""

    path: Path
    package: str
    version: str
    weight: int
    licence: str


def find_typefaces(root: Path) -> list[Typeface]:
    """Upright Latin typefaces under `root` (a folder of @fontsource packages), at most three weights each."""
    found = []
    for folder in sorted(root.iterdir()):
        about = json.loads((folder / "package.json").read_text(encoding="utf-8"))
        if about["license"] not in _OPEN:
            raise SystemExit(f"{folder.name}: licence {about['license']} is not one of {sorted(_OPEN)}")
        prefix = f"{folder.name}-latin-"
        files = {
            int(path.name.removeprefix(prefix).split("-")[0]): path
            for path in (folder / "files").glob(f"{prefix}[0-9]*-normal.woff")
        }
        weights = sorted(files)
        for weight in sorted({weights[0], weights[len(weights) // 2], weights[-1]}):
            found.append(Typeface(files[weight], folder.name, about["version"], weight, about["license"]))
    return found


def draw_digits(path: Path) -> npt.NDArray[np.uint8]:
    """The ten digits as alpha masks, uint8 (10, 64, 64), each scaled to fill the cell and centred."""
    font_file = TTFont(path)
    font_file.flavor = None
    buffer = io.BytesIO()
    font_file.save(buffer)
    buffer.seek(0)
    font = ImageFont.truetype(buffer, 160)
    cells = []
    for digit in "0123456789":
        canvas = Image.new("L", (480, 480))
        ImageDraw.Draw(canvas).text((140, 120), digit, fill=255, font=font)
        box = canvas.getbbox()
        if box is None:
            raise SystemExit(f"{path}: the typeface has no glyph for {digit}")
        glyph = canvas.crop(box)
        ratio = _INK / max(glyph.size)
        glyph = glyph.resize([max(1, round(side * ratio)) for side in glyph.size], Image.Resampling.LANCZOS)
        cell = Image.new("L", (SPRITE, SPRITE))
        cell.paste(glyph, ((SPRITE - glyph.width) // 2, (SPRITE - glyph.height) // 2))
        cells.append(np.asarray(cell))
    return np.stack(cells)


def save_atlas(path: Path, sprites: npt.NDArray[np.uint8]) -> None:
    """Write one-colour sprites, uint8 (n, 64, 64), as a lossless atlas."""
    rows = -(-len(sprites) // COLUMNS)
    grid = np.zeros((rows * COLUMNS, SPRITE, SPRITE), np.uint8)
    grid[: len(sprites)] = sprites
    sheet = grid.reshape(rows, COLUMNS, SPRITE, SPRITE).transpose(0, 2, 1, 3).reshape(rows * SPRITE, COLUMNS * SPRITE)
    Image.fromarray(sheet).save(path, lossless=True, quality=100, method=6)


def main() -> None:
    """Command line: see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fonts", type=Path, help="folder of @fontsource packages")
    parser.add_argument("out", type=Path, help="folder to write to")
    arguments = parser.parse_args()
    typefaces = find_typefaces(arguments.fonts)
    save_atlas(arguments.out / f"{STYLE}.webp", np.concatenate([draw_digits(face.path) for face in typefaces]))
    with (arguments.out / f"{STYLE}.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        for number, face in enumerate(typefaces):
            for digit, name in enumerate(NAMES):
                row = [STYLE, number * 10 + digit, f"digit-{name}", f"digit {name}", "symbols", "digit", "mono"]
                writer.writerow([*row, "pretrain", f"{face.package}-{face.weight}", face.licence])
    credit = {f"| {face.package} | {face.version} | {face.licence} |" for face in typefaces}
    lines = ["| @fontsource package | version | licence |", "|---|---|---|", *sorted(credit)]
    (arguments.out / f"{STYLE}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
