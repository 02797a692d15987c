"""Files of published figures."""

import csv
from pathlib import Path

import pandas as pd

from promptarena.benchmark.published.load import load_published

ROOT = Path(__file__).parents[2]
ROW = {
    "protocol": "base-to-novel",
    "method": "coop",
    "printed": "CoOp",
    "dataset": "dtd",
    "metric": "base",
    "shots": "16",
    "value": "80.00",
    "backbone": "ViT-B-16",
    "kind": "quoted",
    "source": "A",
    "remark": "",
}


def write(folder: Path, rows: list[dict[str, str]]) -> Path:
    with (folder / "figures.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return folder


def loaded(folder: Path, *changes: dict[str, str]) -> pd.DataFrame:
    return load_published(write(folder, [ROW | change for change in changes]))
