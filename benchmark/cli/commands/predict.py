"""What the command predict does and prints."""

import io
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.progress import Progress

from promptarena.benchmark.backbone.loading import load_backbone
from promptarena.benchmark.cli.commands import terminal
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.files import require_regular, write_atomically
from promptarena.benchmark.data.data_manager import Data
from promptarena.benchmark.data.images import EXTENSIONS
from promptarena.benchmark.planning.suites import Suite, load_suite
from promptarena.benchmark.plugins.registry import load_registry
from promptarena.benchmark.recording.record import Record, RecordPlace
from promptarena.benchmark.training.classifying import Classified, classify
from promptarena.benchmark.training.trained_learner import LEARNED, Learned

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


def print_predictions(requested: Prediction, place: RecordPlace) -> int:
    """Classify images and print the classes, or write them to a file; files that cannot be read are listed.

    Returns the exit code: 2 if no file could be read.

    Raises UserError when the learner, the class names or the images are not there, or do not fit.
    """
    if requested.format == "parquet" and requested.out is None:
        raise UserError("--format parquet is no text; name a file with --out")
    suite, paths = load_suite(requested.suite), _files(requested.images)
    learned = _learned(requested.run, place)
    source = suite.backbone
    backbone = load_backbone(
        source.given_architecture, source.given_weights, device=requested.device, precision=learned.origin.precision
    )
    registry = load_registry(requested.plugins)
    learner, classes = learned.learner(backbone, registry), _classes(requested, suite, learned)
    errors = terminal.console(stderr=True)
    for line in learned.changes(backbone, registry):
        errors.print(f"promptarena: {line}")
    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as progress:
        task = progress.add_task("images", total=len(paths))
        found = classify(learner, paths, classes, requested.top, lambda count: progress.advance(task, count))
    _show(found, requested)
    for reason in found.unread.values():
        errors.print(f"promptarena: {reason}")
    return 0 if found.guesses else 2


def _files(images: Sequence[Path]) -> list[Path]:
    """The image files that are named, and those in and below the folders that are named."""
    files: list[Path] = []
    for path in images:
        if not path.is_dir():
            files.append(path)
            continue
        inside = sorted(file for file in path.rglob("*") if file.suffix.lower() in EXTENSIONS)
        if not inside:
            raise UserError(f"folder {path} holds no images ({', '.join(sorted(EXTENSIONS))})")
        files += inside
    return list(dict.fromkeys(files))


def _learned(run: str, place: RecordPlace) -> Learned:
    if Path(run).suffix == ".safetensors":
        return Learned.load(Path(run))
    record = Record.open_existing(place)
    with tempfile.TemporaryDirectory() as folder:
        try:
            return Learned.load(record.artifact(run, LEARNED, Path(folder)))
        except UserError as error:
            raise UserError(f"{error}; give the id of a finished run, or the path of a {LEARNED}") from error


def _classes(requested: Prediction, suite: Suite, learned: Learned) -> Classes:
    """The classes to choose from: named in a file, those of a dataset, or those that were trained on."""
    trained = learned.origin.classes
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


def _show(found: Classified, requested: Prediction) -> None:
    rows = [(str(each.path), each.rank, each.name, each.label, each.probability) for each in found.guesses]
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


def _content(rows: Sequence[tuple[str, int, str, int, float]], format: str) -> bytes:
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
