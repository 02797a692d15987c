"""Render the pack's atlases anew from the icon sets they come from. Used by hand, when a set changes.

    npm install --ignore-scripts @iconify-json/noto@1.2.9 ... emojibase-data@17.0.0   (all versions: ATTRIBUTION.md)
    pip install resvg-py
    python -m tools.miniature.build_pack node_modules OUT_FOLDER [--styles noto twemoji] [--compare]

The pack's manifest is the recipe: which icon of which set shows which concept, in which place of its atlas. A new
rendering is the same image but not the same bytes; `--compare` prints how far it is from the shipped one.
"""

import argparse
import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from promptarena.benchmark.data.miniature.pack import COLUMNS, SPRITE, load_pack, pack_dir, verified
from tools.miniature.build_digits import save_atlas

_OVERSAMPLING = 4
_QUALITY = 85


def svg(icons: dict[str, Any], name: str) -> str:
    """The SVG text of icon `name` of an icon set (its icons.json), aliases followed."""
    while name not in icons["icons"]:
        name = icons["aliases"][name]["parent"]
    icon = icons["icons"][name]
    width, height = (icon.get(side, icons.get(side, 16)) for side in ("width", "height"))
    box = f"{icon.get('left', 0)} {icon.get('top', 0)} {width} {height}"
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}">{icon["body"]}</svg>'


def rasterise(text: str) -> npt.NDArray[np.uint8]:
    """An SVG letterboxed to a square sprite, uint8 (64, 64, 4), RGBA."""
    import resvg_py

    side = SPRITE * _OVERSAMPLING
    with Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=text, width=side)))) as drawn:
        picture = drawn.convert("RGBA")
    picture.thumbnail((side, side))
    square = Image.new("RGBA", (side, side))
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return np.asarray(square.resize((SPRITE, SPRITE), Image.Resampling.BOX))


def render_style(modules: Path, style: str, icon_names: list[str]) -> npt.NDArray[np.uint8]:
    """All sprites of a style, uint8 (n, 64, 64, 4)."""
    path = modules / "@iconify-json" / style / "icons.json"
    icons = json.loads(path.read_text(encoding="utf-8"))
    return np.stack([rasterise(svg(icons, name)) for name in icon_names])


def save_colour(path: Path, sprites: npt.NDArray[np.uint8]) -> None:
    """Write colour sprites, uint8 (n, 64, 64, 4), as an atlas."""
    rows = -(-len(sprites) // COLUMNS)
    grid = np.zeros((rows * COLUMNS, SPRITE, SPRITE, 4), np.uint8)
    grid[: len(sprites)] = sprites
    cells = grid.reshape(rows, COLUMNS, SPRITE, SPRITE, 4).transpose(0, 2, 1, 3, 4)
    sheet = np.ascontiguousarray(cells.reshape(rows * SPRITE, COLUMNS * SPRITE, 4))
    Image.fromarray(sheet).save(path, quality=_QUALITY, alpha_quality=90, method=6)


def concept_table(modules: Path, keys: list[str]) -> dict[str, dict[str, Any]]:
    """Name, group, subgroup and tags of each concept (its code points in hexadecimal, joined by hyphens)."""
    folder = modules / "emojibase-data"
    groups = json.loads((folder / "meta" / "groups.json").read_text(encoding="utf-8"))
    entries = json.loads((folder / "en" / "data.json").read_text(encoding="utf-8"))
    found = {entry["hexcode"].lower().replace("-fe0f", ""): entry for entry in entries}
    return {
        key: {
            "name": found[key]["label"],
            "group": groups["groups"][str(found[key]["group"])],
            "sub": groups["subgroups"][str(found[key]["subgroup"])],
            "tags": found[key].get("tags", []),
        }
        for key in keys
    }


def difference(style: str, sprites: npt.NDArray[np.uint8]) -> float:
    """Mean absolute difference from the shipped atlas, premultiplied by alpha, on the scale 0..255."""
    old = load_pack().style(style)
    before = old.pixels.transpose(0, 2, 3, 1).astype(np.float32)
    after = sprites.astype(np.float32)
    if old.one_colour:
        return float(np.abs(before[..., 3] - after[..., 3]).mean())
    gap = [part[..., :3] * part[..., 3:] / 255 for part in (before, after)]
    return float(np.abs(gap[0] - gap[1]).mean())


def main() -> None:
    """Command line: see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", type=Path, help="folder of the npm packages")
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("--styles", nargs="*", help="only these styles")
    parser.add_argument("--compare", action="store_true", help="print the distance from the shipped atlases")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with verified(pack_dir(), "manifest.csv").open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["style"] != "digit-typefaces"]
    for style in arguments.styles or dict.fromkeys(row["style"] for row in rows):
        mine = [row for row in rows if row["style"] == style]
        sprites = render_style(arguments.modules, style, [row["icon"] for row in mine])
        path = arguments.out / f"{style}.webp"
        if mine[0]["kind"] == "mono":
            save_atlas(path, sprites[..., 3])
        else:
            save_colour(path, sprites)
        distance = f", {difference(style, sprites):.2f} of 255 from the shipped one" if arguments.compare else ""
        print(f"{style}: {len(sprites)} sprites, {path.stat().st_size} bytes{distance}")
    table = concept_table(arguments.modules, list(load_pack().concepts))
    (arguments.out / "concepts.json").write_text(json.dumps(table, ensure_ascii=False, indent=0), encoding="utf-8")


if __name__ == "__main__":
    main()
