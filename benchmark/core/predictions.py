"""What a learner predicted for every test image of a target, as a value and as a Parquet file.

Of the logits of an image the five largest are kept, the label's, and their log-sum-exp. Probabilities follow from them:
that of a class is exp(its logit - log-sum-exp). The sum of all squared probabilities is kept for the Brier score.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from promptarena.benchmark.core.errors import UserError, first_line
from promptarena.benchmark.core.runs import Subset, Target

TOP = 5
"""The number of classes that are kept of each image, those with the largest logits."""

VERSION = 1
"""The version of the file's schema."""

ENTRY = b"promptarena"
"""The entry of a Parquet file's metadata that says, as JSON, what the file holds."""

Labels = npt.NDArray[np.int32]
Logits = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Halves:
    """How the base and the novel classes of an image compete; of learners that saw base classes only.

    Args:
        base_logit: (N,) float32, the largest logit of a base class.
        base_log_sum_exp: (N,) float32, the log-sum-exp of the logits of the base classes.
        rank: (N,) int32, the rank of the label among the classes of its own half, from 1.
    """

    base_logit: Logits
    base_log_sum_exp: Logits
    rank: Labels

    @staticmethod
    def joined(parts: "Sequence[Halves]") -> "Halves":
        """The halves of several batches in their order."""
        return Halves(*(np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(Halves)))


@dataclass(frozen=True, eq=False)
class Predictions:
    """The predictions for N images among C classes, in one reading of a learner; K = min(5, C).

    Args:
        target: What is scored.
        reading: The name of another way in which the learner scores the same images; empty: its own.
        classes: The C names of the classes.
        images: (N,) the identity of each image among all datasets.
        labels: (N,) int32, in 0 .. C - 1.
        top: (N, K) int32, the classes with the largest logits, the largest first; of equal logits the first class.
        logits: (N, K) float32, the logits of these classes.
        label_logit: (N,) float32, the logit of the label.
        rank: (N,) int32, the place of the label among all classes, from 1; 1 is a right prediction.
        log_sum_exp: (N,) float64, the natural logarithm of the sum of exp(logit) over the C classes.
        square_sum: (N,) float32, the sum over the C classes of their squared probabilities.
        halves: How base and novel classes compete, where that was measured.
        temperature: What the learner's logits were divided by.
    """

    target: Target
    reading: str
    classes: tuple[str, ...]
    images: npt.NDArray[np.str_]
    labels: Labels
    top: Labels
    logits: Logits
    label_logit: Logits
    rank: Labels
    log_sum_exp: npt.NDArray[np.float64]
    square_sum: Logits
    halves: Halves | None = None
    temperature: float = 1.0

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """(N,) whether the label has the largest logit."""
        return np.asarray(self.rank == 1)

    def counts(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Right predictions and images of each class, in label order."""
        total = np.bincount(self.labels, minlength=len(self.classes))
        right = np.bincount(self.labels[self.right], minlength=len(self.classes))
        return tuple(right.tolist()), tuple(total.tolist())


def joined(parts: Sequence[Predictions]) -> Predictions:
    """The predictions of one learner for several sets of images among the same classes, one after the other.

    Args:
        parts: At least one, without `halves`.

    Returns:
        All of them, for the target of the first.
    """
    arrays = ("images", "labels", "top", "logits", "label_logit", "rank", "log_sum_exp", "square_sum")
    whole: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in arrays}
    return replace(parts[0], **whole)


def to_parquet(readings: Sequence[Predictions]) -> bytes:
    """Write the predictions for a target.

    Args:
        readings: Those of each reading of one learner, at least one, for the same images.

    Returns:
        A Parquet file with a row per reading and image. Columns: reading, image, label, class_1 .. class_5, logit_1 ..
        logit_5 (empty where there are fewer classes), label_logit, rank, log_sum_exp, square_sum; with `halves` also
        base_logit, base_log_sum_exp and half_rank. Its metadata names the target and the classes.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    first = readings[0]
    columns: dict[str, Any] = {
        "reading": pa.array(np.repeat([each.reading for each in readings], len(first)), pa.string()),
        "image": pa.array(np.concatenate([each.images for each in readings]), pa.string()),
        "label": np.concatenate([each.labels for each in readings]),
    }
    width = first.top.shape[1]
    for name, values in (("class", [each.top for each in readings]), ("logit", [each.logits for each in readings])):
        joined = np.concatenate(values)
        kind = pa.from_numpy_dtype(joined.dtype)
        for place in range(TOP):
            column = pa.array(joined[:, place]) if place < width else pa.nulls(len(joined), kind)
            columns[f"{name}_{place + 1}"] = column
    for name in ("label_logit", "rank", "log_sum_exp", "square_sum"):
        columns[name] = np.concatenate([getattr(each, name) for each in readings])
    halves = [each.halves for each in readings if each.halves is not None]
    if halves:
        both = Halves.joined(halves)
        columns["base_logit"], columns["base_log_sum_exp"] = both.base_logit, both.base_log_sum_exp
        columns["half_rank"] = both.rank
    about: dict[str, Any] = {
        "version": VERSION,
        "dataset": first.target.dataset,
        "subset": first.target.subset,
        "classes": list(first.classes),
    }
    if any(each.temperature != 1 for each in readings):
        about["temperatures"] = {each.reading: each.temperature for each in readings}
    table = pa.table(columns).replace_schema_metadata({ENTRY: json.dumps(about).encode()})
    # Each encoding is the smallest for its kind: keys share their beginnings, the bytes of a float's exponent repeat.
    floats = [name for name, column in zip(table.column_names, table.columns, strict=True) if _is_float(column.type)]
    file = io.BytesIO()
    pq.write_table(
        table,
        file,
        compression="zstd",
        use_dictionary=[name for name in table.column_names if name not in (*floats, "image")],
        column_encoding=dict.fromkeys(floats, "BYTE_STREAM_SPLIT") | {"image": "DELTA_BYTE_ARRAY"},
        write_statistics=False,
    )
    return file.getvalue()


def _is_float(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_floating(kind))


def from_parquet(content: bytes | Path, name: str) -> tuple[Predictions, ...]:
    """Read the predictions for a target.

    Args:
        content: The file that `to_parquet` wrote, or its path.
        name: What the file is called in errors.

    Returns:
        The predictions of each reading, the learner's own first.

    Raises:
        UserError: It is no such file, or one of a later version.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # `read_table` and threads would cost twice the time: an import reads thousands of small files.
        with pq.ParquetFile(pa.BufferReader(content) if isinstance(content, bytes) else content) as file:
            table = file.read(use_threads=False)
        about = json.loads((table.schema.metadata or {})[ENTRY])
        if about["version"] > VERSION:
            raise UserError(f"{name} has schema version {about['version']}, this promptarena reads {VERSION}; upgrade")
        return tuple(_readings(table, about))
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError) as error:
        raise UserError(f"{name} holds no predictions: {first_line(error)}") from error


def _readings(table: Any, about: Mapping[str, Any]) -> list[Predictions]:
    import pyarrow.compute as pc

    if about["subset"] not in get_args(Subset):
        raise ValueError(f"the subset {about['subset']!r} is unknown")
    readings = table["reading"].unique().to_pylist()
    if len(readings) == 1:  # that of most learners: nothing is copied
        return [_reading(table, readings[0], about)]
    return [_reading(table.filter(pc.field("reading") == reading), reading, about) for reading in readings]


def _reading(table: Any, reading: str, about: Mapping[str, Any]) -> Predictions:
    """The predictions of a reading, whose rows are those of the table."""
    classes = tuple(about["classes"])

    def values(name: str) -> npt.NDArray[Any]:
        return np.asarray(table[name].to_numpy())

    def largest(name: str) -> npt.NDArray[Any]:
        return np.stack([values(f"{name}_{place + 1}") for place in range(min(TOP, len(classes)))], axis=1)

    return Predictions(
        target=Target(about["dataset"], about["subset"]),
        reading=reading,
        classes=classes,
        images=values("image").astype(np.str_),
        labels=values("label"),
        top=largest("class"),
        logits=largest("logit"),
        label_logit=values("label_logit"),
        rank=values("rank"),
        log_sum_exp=values("log_sum_exp"),
        square_sum=values("square_sum"),
        halves=Halves(values("base_logit"), values("base_log_sum_exp"), values("half_rank"))
        if "half_rank" in table.column_names
        else None,
        temperature=float(about.get("temperatures", {}).get(reading, 1.0)),
    )
