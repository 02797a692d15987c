"""Published figures: read from the CSV files in results/published, checked, and looked up.

A row is one printed number with the source it was read from. What is derived from other figures of its table is
recomputed on load; a figure that does not agree with them is flagged, and no verdict rests on it.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptarena.benchmark.core.config_files import check, read_text
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.paths import PUBLISHED
from promptarena.benchmark.core.protocol_table import Protocol
from promptarena.benchmark.published.consistency import findings
from promptarena.benchmark.published.rows import KINDS, STANDARD, Kind, PublishedRow

if TYPE_CHECKING:
    import pandas as pd

DTYPES = {
    "protocol": "str",
    "method": "str",
    "printed": "str",
    "dataset": "str",
    "metric": "str",
    "shots": "Int64",
    "value": "float64",
    "text": "str",
    "backbone": "str",
    "kind": "str",
    "source": "str",
    "remark": "str",
    "recomputed": "float64",
    "flag": "str",
    "caution": "str",
    "reference": "bool",
}
_CELL = ["protocol", "method", "dataset", "metric", "shots"]
_KEY = ("protocol", "method", "dataset", "metric", "shots", "kind", "source")


@dataclass(frozen=True)
class Published:
    """A printed number in percent, as `load_published` holds it; `shots` None: the whole training set.

    `flag` says why it does not agree with its own table, `caution` what else speaks against it; empty: nothing.
    """

    value: float
    text: str
    shots: int | None
    backbone: str
    kind: Kind
    source: str
    flag: str
    caution: str


Place = tuple[str, str, str, int | None]
"""Method, dataset, metric, shots."""


def load_published(folder: Path = PUBLISHED) -> "pd.DataFrame":
    """All rows of the CSV files in a folder, with columns and types as in `DTYPES`; `value` is in percent.

    `text` is the number as printed. `recomputed` is what the other figures of its table give, NaN where they do not
    decide it; `flag` says how the two disagree and is empty where they agree within rounding. `caution` says what
    speaks against a figure without a flag: what other sources print for it (re-runs and bounds aside), or a flagged
    figure that it is a part of. `reference` marks the row of each figure that stands for it: of kind "own paper", else
    "quoted", and of several the first in the file.

    Raises UserError naming file and line for an unknown column, a value that is not allowed, or a row that is there
    twice; and when there is no row.
    """
    import pandas as pd

    rows: list[PublishedRow] = []
    lines: dict[tuple[str, ...], str] = {}
    for where, row in _rows(folder):
        key = tuple(getattr(row, name) for name in _KEY)
        if key in lines:
            raise UserError(f"{where}: the same figure of the same source is in {lines[key]}; delete one")
        lines[key] = where
        rows.append(row)
    if not rows:
        raise UserError(f"no published figures (*.csv) in {folder}")
    records = [
        row.model_dump()
        | {"shots": None if row.shots == "all" else int(row.shots), "value": float(row.value), "text": row.value}
        | asdict(finding)
        for row, finding in zip(rows, findings(rows), strict=True)
    ]
    frame = pd.DataFrame(records)
    pairs = zip(frame["caution"], _differences(frame), strict=True)
    frame["caution"] = ["; ".join(filter(None, pair)) for pair in pairs]
    frame["reference"] = frame.index.isin(_preferred(frame).index) & frame["kind"].isin(STANDARD)
    return frame[list(DTYPES)].astype(DTYPES)


def lookup(published: "pd.DataFrame", protocol: Protocol) -> dict[Place, Published]:
    """For each published figure of a protocol the row to show beside ours: the reference, else the best kind."""
    chosen = _preferred(published[published["protocol"] == protocol])
    return {
        (str(row["method"]), str(row["dataset"]), str(row["metric"]), _shots(row["shots"])): Published(
            **{item.name: row[item.name] for item in fields(Published)} | {"shots": _shots(row["shots"])}
        )
        for row in chosen.to_dict("records")
    }


def _rows(folder: Path) -> Iterator[tuple[str, PublishedRow]]:
    for path in sorted(folder.glob("*.csv")):
        reader = csv.reader(StringIO(read_text(path)), strict=True)
        try:
            header = next(reader, [])
            if len(set(header)) < len(header):
                raise UserError(f"{path}, line 1: names one column twice")
            for cells in reader:
                where = f"{path}, line {reader.line_num}"
                if len(cells) != len(header):
                    raise UserError(f"{where}: has {len(cells)} values for {len(header)} columns")
                yield where, check(where, dict(zip(header, cells, strict=True)), PublishedRow)
        except csv.Error as error:
            raise UserError(f"{path}, line {reader.line_num}: is not valid CSV: {error}") from error


def _preferred(frame: "pd.DataFrame") -> "pd.DataFrame":
    """One row per figure: of the best kind, and of several the first."""
    order = frame["kind"].map({kind: place for place, kind in enumerate(KINDS)})
    return frame.assign(order=order).sort_values("order", kind="stable").drop_duplicates(_CELL)


def _differences(frame: "pd.DataFrame") -> Sequence[str]:
    """For each row what other sources print in its place."""
    told: dict[Any, str] = dict.fromkeys(frame.index, "")
    exact = frame[frame["kind"].isin(("own paper", "quoted", "secondary"))]
    for _, same in exact.groupby(_CELL, dropna=False, sort=False):
        if same["value"].nunique() > 1:
            for here, row in same.iterrows():
                others = same[same["value"] != row["value"]]
                printed = dict.fromkeys(zip(others["text"], others["source"], strict=True))
                told[here] = "; ".join(f"{source} prints {text}" for text, source in printed)
    return [told[here] for here in frame.index]


def _shots(value: Any) -> int | None:
    import pandas as pd

    return None if pd.isna(value) else int(value)
