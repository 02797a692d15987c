"""A suite of invented datasets whose splits are listed without any file but the cards."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from promptarena.benchmark.core.keys import digest
from promptarena.benchmark.data.cards import Card, SplitName
from promptarena.benchmark.data.data_manager import Data
from promptarena.benchmark.data.images import RenderedImages
from promptarena.benchmark.data.splits import Split
from promptarena.benchmark.planning.suites import Suite, load_suite

DATASETS = ("things", "birds", "sketches")
NAMES = ("red fox", "barn owl", "zebra", "wren")


class Listed(Data):
    """Splits of eight images a class, or as set in `changed`."""

    def __init__(self) -> None:
        super().__init__(None)
        self.changed: dict[tuple[str, SplitName], tuple[str, ...]] = {}

    def find(self, card: Card, name: SplitName) -> Split | None:
        keys = self.changed.get((card.name, name), tuple(f"{name}/{row}.png" for row in range(32)))
        labels = np.arange(len(keys), dtype=np.int64) % len(NAMES)
        split = Split(card.name, name, keys, labels, NAMES, "", lambda: RenderedImages(lambda: np.empty(0), 0))
        return replace(split, digest=digest(keys, labels.tolist(), NAMES))


def suite(folder: Path, *, training: str = "", **card: str) -> Suite:
    """Cards for DATASETS and a suite of them, `things` being the source; `card` replaces fields of the cards."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in DATASETS:
        fields = {
            "name": name,
            "title": name.capitalize(),
            "reader": "folder",
            "template": "a photo of a {}.",
            "licence": "none",
            "citation": "",
            "description": "",
        } | card
        (folder / f"{name}.toml").write_text("".join(f"{key} = {value!r}\n" for key, value in fields.items()))
    path = folder / "world.toml"
    path.write_text(
        'name = "world"\ntitle = "World"\ndatasets = ["things", "birds"]\nsource = "things"\n'
        'targets = ["birds"]\nvariants = ["sketches"]\n'
        f'[backbone]\nconfig = "c.json"\nweights = "w.safetensors"\n[training]\n{training}\n'
    )
    return load_suite(path)
