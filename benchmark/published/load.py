"""Published figures: read from the CSV files in results/published, checked, and looked up.

A row is one printed number with its source. Harmonic means and averages are recomputed from the other figures of their
table; a figure that disagrees is flagged, and no verdict rests on it.
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
"""The columns of the frame of published figures and their pandas types."""
_CELL = ["protocol", "method", "dataset", "metric", "shots"]
_KEY = ("protocol", "method", "dataset", "metric", "shots", "kind", "source")


@dataclass(frozen=True)
class Published:
    """A published figure, as in the frame of `load_published`.

    Args:
        value: In percent.
        text: The number as printed.
        shots: Training images per class; None: the whole training set.
        backbone: The published backbone.
        kind: How close the source is to the method's authors.
        source: Where the number was read.
        flag: How it disagrees with its own table; empty if it does not.
        caution: What else speaks against it; empty if nothing does.
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
"""(method, dataset, metric, shots)."""


def load_published(folder: Path = PUBLISHED) -> "pd.DataFrame":
    """Read all published figures of a folder.

    Args:
        folder: The folder of the CSV files.

    Returns:
        One row per printed number, with the columns and types of `DTYPES`. `value` is in percent, `text` the number as
        printed. `recomputed` is the value that the other figures of its table give, NaN if they do not determine it.
        `flag` says how the two disagree; it is empty if they agree within rounding. `caution` says what speaks against
        a figure without a flag: other numbers in other sources (except re-runs and bounds), or a flagged figure that is
        computed from it. `reference` marks the one row that stands for each figure: kind "own paper", else "quoted"; of
        several the first in the file.

    Raises:
        UserError: An unknown column, a value that is not allowed or a repeated row (it names file and line), or no row
            at all.
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
    """For each published figure of a protocol the row to show beside ours: the reference, else the best kind.

    Args:
        published: What `load_published` returns.
        protocol: The protocol's name.
    """
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
    """One row per figure: the best kind; of several the first in the file."""
    order = frame["kind"].map({kind: place for place, kind in enumerate(KINDS)})
    # A stable sort keeps the order of the file within a kind.
    return frame.assign(order=order).sort_values("order", kind="stable").drop_duplicates(_CELL)


def _differences(frame: "pd.DataFrame") -> Sequence[str]:
    """For each row the different numbers that other sources print for the same figure."""
    notes: dict[Any, str] = dict.fromkeys(frame.index, "")
    exact = frame[frame["kind"].isin(("own paper", "quoted", "secondary"))]
    disputed = exact[exact.groupby(_CELL, dropna=False)["value"].transform("nunique") > 1]
    for _, same in disputed.groupby(_CELL, dropna=False, sort=False):
        for here, row in same.iterrows():
            others = same[same["value"] != row["value"]]
            printed = dict.fromkeys(zip(others["text"], others["source"], strict=True))
            notes[here] = "; ".join(f"{source} prints {text}" for text, source in printed)
    return [notes[here] for here in frame.index]


def _shots(value: Any) -> int | None:
    import pandas as pd

    return None if pd.isna(value) else int(value)
