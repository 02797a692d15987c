"""The pretraining curve: means over a number of steps, appended to a CSV file and printed."""

import csv
from pathlib import Path

EVERY = 50
"""Steps per row."""


class Curve:
    """Writes `path`; rows after step `start`, left by a run that stopped after its last checkpoint, are dropped."""

    def __init__(self, path: Path, start: int) -> None:
        self._path = path
        self._sums: dict[str, float] = {}
        self._count = 0
        if path.exists():
            lines = path.read_text(encoding="utf-8").splitlines()
            kept = [line for line in lines[1:] if int(line.split(",")[0]) <= start]
            path.write_text("\n".join([*lines[:1], *kept]) + "\n", encoding="utf-8")

    def add(self, step: int, images: int, seconds: float, values: dict[str, float]) -> None:
        """Take in a step's values; every 50th step a row is written."""
        self._count += 1
        self._sums = {name: self._sums.get(name, 0.0) + value for name, value in values.items()}
        if step % EVERY:
            return
        means = {name: f"{total / self._count:.4f}" for name, total in self._sums.items()}
        row = {"step": str(step), "images": str(images), "seconds": f"{seconds:.0f}", **means}
        self._sums, self._count = {}, 0
        fresh = not self._path.exists()
        with self._path.open("a", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(row), lineterminator="\n")
            if fresh:
                writer.writeheader()
            writer.writerow(row)
        print(" ".join(f"{name} {value}" for name, value in row.items()), flush=True)
