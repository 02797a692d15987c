"""A comparison in miniature's miniature: folders of small coloured pictures, their cards, and a suite over them."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from promptarena.benchmark.core.paths import DATASETS

MODEL = DATASETS / "mini" / "model"
COLOURS = {"red": (200, 30, 30), "green": (30, 180, 40), "blue": (30, 60, 220), "yellow": (230, 220, 40)}
PER_CLASS = {"train": 4, "val": 2, "test": 3}
SUITE = "small"
PROTOCOLS = ("base-to-novel", "cross-dataset", "domain-generalization")
SIDE = 40


def make_world(folder: Path, *, epochs: int = 2, seeds: Sequence[int] = (1,), weights: Path | None = None) -> Path:
    """Write datasets `plain` (the source), `noisy` (a target), `faded` (a variant) and a suite; the suite's path."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, noise, contrast in (("plain", 10, 1.0), ("noisy", 60, 1.0), ("faded", 10, 0.4)):
        make_dataset(folder, name, noise, contrast)
    path = folder / f"{SUITE}.toml"
    path.write_text(
        f"""
name = "{SUITE}"
title = "A small suite"
miniature = true
datasets = ["noisy"]
source = "plain"
targets = ["noisy"]
variants = ["faded"]
protocols = {list(PROTOCOLS)}
shots = 2
few_shot_shots = [1, 2]
seeds = {list(seeds)}

[backbone]
config = "{MODEL / "open_clip_config.json"}"
weights = "{weights or MODEL / "mini_clip.safetensors"}"

[training]
max_epochs = {epochs}
lr_multiplier = 25.0
"""
    )
    return path


def make_dataset(folder: Path, name: str, noise: float, contrast: float = 1.0) -> None:
    """A card and its pictures: one colour per class."""
    for split, count in PER_CLASS.items():
        for colour in COLOURS:
            for number in range(count):
                path = folder / "pictures" / name / split / colour / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                _picture(f"{name}/{split}/{colour}/{number}", COLOURS[colour], noise, contrast).save(path)
    (folder / f"{name}.toml").write_text(
        f"""
name = "{name}"
title = "{name.title()}"
reader = "folder"
template = "a photo of something {{}}."
licence = "CC0-1.0"
citation = ""
description = "Coloured noise."

[options]
folder = "pictures/{name}"
"""
    )


def _picture(name: str, colour: tuple[int, int, int], noise: float, contrast: float) -> Image.Image:
    stream = np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))
    pixels = 128 + contrast * (np.array(colour) - 128) + stream.normal(0, noise, (SIDE, SIDE, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
