"""What the command predict does and prints."""

import io
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.progress import Progress

from promptarena.benchmark.cli.commands import terminal
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.files import require_regular, write_atomically
from promptarena.benchmark.data.data_manager import Data
from promptarena.benchmark.planning.suites import Suite, load_suite
from promptarena.benchmark.recording.place import RecordPlace
from promptarena.benchmark.training.classifying import classify
from promptarena.learners import image_files, load_learner, other_files

Rows = Sequence[tuple[str, int, str, int, float]]
"""The values of each row, in the order of `COLUMNS`."""
COLUMNS = ("image", "rank", "class", "label", "probability")


@dataclass(frozen=True)
class Prediction:
    """What is to be classified, by which learner, among which classes; the fields are those of the command."""

    run: str
    images: tuple[Path, ...]
    classes: Path | None = None
    dataset: str = ""
    top: int = 1
    format: Literal["table", "csv", "json", "parquet"] = "table"
    out: Path | None = None
    suite: str = "mini"
    device: str = "auto"
    root: Path | None = None
    plugins: tuple[Path, ...] = ()
    as_shown: bool = False


def print_predictions(requested: Prediction, place: RecordPlace) -> int:
    """Classify images and print the classes, or write them to a file; files that cannot be read are listed.

    Returns the exit code: 2 if no file could be read.

    Raises UserError when the learner, the class names or the images are not there, or do not fit.
    """
    if requested.format == "parquet" and requested.out is None:
        raise UserError("--format parquet is no text; name a file with --out")
    suite = load_suite(requested.suite)
    paths = list(dict.fromkeys(file for path in requested.images for file in image_files(path)))
    trained = load_learner(
        requested.run,
        suite=requested.suite,
        results=place.results,
        tracking_uri=place.tracking_uri,
        plugins=requested.plugins,
        device=requested.device,
    )
    classes = _classes(requested, suite, trained.classes)
    errors = terminal.console(stderr=True)
    for line in trained.notes:
        errors.print(f"promptarena: {line}")
    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as progress:
        task = progress.add_task("images", total=len(paths))
        found = classify(
            trained.learner,
            paths,
            classes,
            requested.top,
            lambda count: progress.advance(task, count),
            as_shown=requested.as_shown,
        )
    rows = [(str(paths[each.image]), each.rank, each.name, each.label, each.probability) for each in found.guesses]
    _show(rows, requested)
    for line in (*_left_out(requested.images), *found.unread.values(), *_otherwise(found.shown_otherwise.values())):
        errors.print(f"promptarena: {line}")
    return 0 if found.guesses else 2


def _left_out(paths: Sequence[Path]) -> list[str]:
    """A line for each folder with files that have no ending of an image."""
    lines = []
    for path in paths:
        if others := other_files(path):
            endings = ", ".join(sorted({file.suffix.lower() or "no ending" for file in others})[:5])
            lines.append(f"{path}: {len(others)} files are left out by their endings ({endings})")
    return lines


def _otherwise(found: Iterable[str]) -> list[str]:
    """A line on images that viewers show in another way than an evaluation decodes them."""
    counts = Counter(found)
    if not counts:
        return []
    each = ", ".join(f"{count} {how}" for how, count in sorted(counts.items()))
    return [f"viewers show {counts.total()} images otherwise than evaluations decode them ({each}): see --as-shown"]


def _classes(requested: Prediction, suite: Suite, trained: Classes) -> Classes:
    """The classes to choose from: named in a file, those of a dataset, or those that were trained on."""
    if requested.classes is not None and requested.dataset:
        raise UserError("--classes and --dataset both name classes; give one of them")
    if requested.dataset:
        return Data(requested.root).classes(suite.card(requested.dataset), "all", "test")
    if requested.classes is None:
        return trained
    require_regular(requested.classes)
    try:
        lines = requested.classes.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {requested.classes}: {error}; it must be a text file in UTF-8") from error
    names = tuple(line.strip() for line in lines if line.strip())
    if not names:
        raise UserError(f"{requested.classes} names no class; write one name a line")
    return Classes(names, trained.template, trained.dataset)


def _show(rows: Rows, requested: Prediction) -> None:
    if requested.format == "table" and requested.out is None:
        table = terminal.table("image", "rank", "class", "probability")
        for image, rank, name, _, probability in rows:
            terminal.add(table, image, str(rank), name, f"{probability:.3f}")
        terminal.console().print(table)
        return
    content = _content(rows, requested.format)
    if requested.out is not None:
        write_atomically(requested.out, content)
    else:
        print(content.decode(), end="")


def _content(rows: Rows, format: str) -> bytes:
    import pandas as pd

    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    if format == "json":
        return (json.dumps([dict(zip(COLUMNS, row, strict=True)) for row in rows], indent=1) + "\n").encode()
    if format == "parquet":
        file = io.BytesIO()
        frame.to_parquet(file, index=False)
        return file.getvalue()
    if format == "csv":
        return frame.to_csv(index=False).encode()
    return (frame.to_string(index=False) + "\n").encode()
