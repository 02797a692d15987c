"""Published figures: chosen ones, and all that come with the package."""

import csv
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from promptarena.benchmark.published.load import load_published

COLUMNS = ["protocol", "method", "dataset", "metric", "value", "shots", "kind", "source"]


@pytest.fixture
def publish(tmp_path: Path) -> Any:
    def make(*rows: tuple[Any, ...], kind: str = "quoted") -> pd.DataFrame:
        """Published figures from (method, dataset, metric, value, ...) and further columns, of base-to-novel."""
        with (tmp_path / "figures.csv").open("w", newline="") as stream:
            names = [*COLUMNS, "printed", "backbone", "remark"]
            writer = csv.DictWriter(stream, names)
            writer.writeheader()
            for method, dataset, metric, value, *more in rows:
                row = {
                    "protocol": "base-to-novel",
                    "shots": "16",
                    "kind": kind,
                    "source": "Paper",
                    "backbone": "ViT-B-16",
                }
                row |= {"method": method, "dataset": dataset, "metric": metric, "value": f"{value:.2f}"}
                writer.writerow(row | {"printed": method, "remark": ""} | (more[0] if more else {}))
        return load_published(tmp_path)

    return make


@pytest.fixture(scope="session")
def published() -> pd.DataFrame:
    return load_published()
