"""The zero-shot table of a miniature CLIP over the fifteen miniature datasets, with its acceptance limits.

    python -m tools.miniature.zeroshot_table [FOLDER] [--json FILE]

FOLDER holds `mini_clip.safetensors` and `open_clip_config.json`; left out, it is the shipped model's.
"""

import argparse
import json
import math
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from open_clip.model import CLIP
from open_clip.tokenizer import SimpleTokenizer
from safetensors.torch import load_file

from promptarena.benchmark.core.paths import MINIATURE
from promptarena.benchmark.data.miniature.render import render
from tools.miniature.corpus import MEAN, STD

SOURCE = "things"
SPRITES = (SOURCE, "household", "mammals", "vehicles", "plants", "food", "flags", "places", "actions")
ELEVEN = (*SPRITES, "textures", "digits")
VARIANTS = {"things-v2": 50.0, "things-sketch": 30.0, "things-adversarial": 25.0, "things-rendition": 40.0}
"""The variants of the source and their lowest acceptable accuracies, %."""


@dataclass(frozen=True)
class Row:
    """Zero-shot accuracies of one dataset in %: among all classes, and within the base and novel halves."""

    dataset: str
    classes: int
    all: float
    base: float
    novel: float

    @property
    def chance(self) -> float:
        """Accuracy of guessing among all classes, %."""
        return 100 / self.classes


def load_clip(folder: Path) -> CLIP:
    """The CLIP in `folder`, in single precision, ready to evaluate."""
    clip = CLIP(**json.loads((folder / "open_clip_config.json").read_text(encoding="utf-8")))
    clip.load_state_dict(load_file(folder / "mini_clip.safetensors"))
    return clip.float().eval()


@torch.no_grad()
def evaluate(clip: CLIP, card: dict[str, Any]) -> Row:
    """Zero-shot accuracies of `clip` on the test split of a card (its TOML as a dictionary)."""
    pixels, labels = render(card["options"], card["name"], "test")
    mean, std = torch.tensor(MEAN)[:, None, None], torch.tensor(STD)[:, None, None]
    features = torch.cat(
        [
            clip.encode_image((torch.from_numpy(part).permute(0, 3, 1, 2).float() / 255 - mean) / std, normalize=True)
            for part in np.array_split(pixels, math.ceil(len(pixels) / 256))
        ]
    )
    tokenizer = SimpleTokenizer(context_length=clip.context_length)
    texts = clip.encode_text(tokenizer([card["template"].format(name) for name in card["class_names"]]), normalize=True)
    scores = (features @ texts.T).numpy()
    count = len(card["class_names"])
    base = math.ceil(count / 2)
    return Row(
        dataset=card["name"],
        classes=count,
        all=_accuracy(scores, labels, 0, count),
        base=_accuracy(scores, labels, 0, base),
        novel=_accuracy(scores, labels, base, count),
    )


def _accuracy(scores: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], first: int, end: int) -> float:
    rows = (labels >= first) & (labels < end)
    return float(100 * np.mean(scores[rows, first:end].argmax(axis=1) + first == labels[rows]))


def table(folder: Path) -> dict[str, Row]:
    """The rows of all fifteen datasets for the model in `folder`."""
    clip = load_clip(folder)
    cards = MINIATURE.parent / "cards"
    read = [tomllib.loads((cards / f"{name}.toml").read_text(encoding="utf-8")) for name in (*ELEVEN, *VARIANTS)]
    return {card["name"]: evaluate(clip, card) for card in read}


def means(rows: dict[str, Row]) -> tuple[float, float]:
    """Mean base and mean novel accuracy of the eleven datasets, %."""
    chosen = [rows[name] for name in ELEVEN]
    return sum(row.base for row in chosen) / len(chosen), sum(row.novel for row in chosen) / len(chosen)


def shortfalls(rows: dict[str, Row]) -> list[str]:
    """What keeps a model from being shipped, one line each; empty when it may be."""
    base, novel = means(rows)
    source = rows[SOURCE].all
    demands = {
        f"mean base {base:.1f} is not within 68 .. 85": 68 <= base <= 85,
        f"mean novel {novel:.1f} is below 70": novel >= 70,
        f"{SOURCE}: {source:.1f} is below 62": source >= 62,
        f"textures: {rows['textures'].all:.1f} is below 55": rows["textures"].all >= 55,
        f"digits: {rows['digits'].all:.1f} is below 30": rows["digits"].all >= 30,
        f"flags: base {rows['flags'].base:.1f} is above 95": rows["flags"].base <= 95,
    }
    for name in SPRITES:
        row = rows[name]
        demands[f"{name}: {row.all:.1f} is below 15 times chance ({15 * row.chance:.1f})"] = row.all >= 15 * row.chance
    for name, least in VARIANTS.items():
        demands[f"{name}: {rows[name].all:.1f} is not within {least:.0f} .. {source:.1f}"] = (
            least <= rows[name].all < source
        )
    return [text for text, met in demands.items() if not met]


def main() -> None:
    """Command line: see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=MINIATURE / "model")
    parser.add_argument("--json", type=Path, help="also write the table to this file")
    arguments = parser.parse_args()
    rows = table(arguments.folder)
    print(f"{'dataset':<20}{'classes':>8}{'chance':>8}{'all':>7}{'base':>7}{'novel':>7}")
    for row in rows.values():
        print(f"{row.dataset:<20}{row.classes:>8}{row.chance:>8.1f}{row.all:>7.1f}{row.base:>7.1f}{row.novel:>7.1f}")
    base, novel = means(rows)
    print(f"{'mean of the eleven':<20}{'':>23}{base:>7.1f}{novel:>7.1f}")
    short = shortfalls(rows)
    print("\n".join(short) if short else "every acceptance limit is met")
    if arguments.json:
        content = {
            "rows": [asdict(row) for row in rows.values()],
            "mean_base": base,
            "mean_novel": novel,
            "short": short,
        }
        arguments.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
