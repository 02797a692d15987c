"""Files of published figures."""

import csv
from pathlib import Path

import pandas as pd

from promptarena.benchmark.published.load import load_published
from promptarena.benchmark.published.rows import AVERAGE

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


def rerun_lines(published: pd.DataFrame) -> list[str]:
    """Averages of base-to-novel generalization of methods that others ran again: a table row for each source."""
    wanted = (published["protocol"] == "base-to-novel") & (published["dataset"] == AVERAGE)
    wanted &= (published["shots"].astype("string") == "16") & published["kind"].isin(
        ["own paper", "quoted", "re-run", "secondary"]
    )
    averages = published[wanted]
    lines = []
    for method, rows in averages.groupby("method", sort=True):
        if "re-run" in set(rows["kind"]) and rows["source"].nunique() > 1:
            first = rows[rows["kind"].isin(["own paper", "quoted"]) & (rows["metric"] == "hm")].head(1)["value"]
            for (kind, source), figures in rows.groupby(["kind", "source"], sort=False):
                texts = {row["metric"]: f"{row['text']}{'!' * bool(row['flag'])}" for row in figures.to_dict("records")}
                values = dict(zip(figures["metric"], figures["value"], strict=True))
                known = kind == "re-run" and "hm" in values and len(first)
                away = f"{values['hm'] - first.iloc[0]:+.2f}" if known else ""
                cells = [texts.get(metric, "–") for metric in ("base", "novel", "hm")]
                lines.append(f"| {method} | {kind} | {' | '.join(cells)} | {away} | {source} |")
    return lines
