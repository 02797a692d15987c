"""What `promptarena heads` does and prints."""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from promptarena.benchmark.backbone.accelerations import Precision
from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.backbone.head_roles import ATTRIBUTES, RoleTable, Settings
from promptarena.benchmark.backbone.loading import load_backbone
from promptarena.benchmark.cli.commands import terminal
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.files import write_atomically
from promptarena.benchmark.core.keys import digest, file_digest
from promptarena.benchmark.heads import retrieve as retrieval
from promptarena.benchmark.heads.diagnose import check_layers, diagnose
from promptarena.benchmark.heads.images import find_images
from promptarena.benchmark.heads.plots import figures
from promptarena.benchmark.heads.recording import record_diagnosis
from promptarena.benchmark.heads.sentence_encoder import DEFAULT, open_encoder
from promptarena.benchmark.heads.text_pool import SHIPPED, read_pool
from promptarena.benchmark.planning.suites import Suite, load_suite
from promptarena.benchmark.plugins.registry import load_registry
from promptarena.benchmark.recording.names import PARENT
from promptarena.benchmark.recording.record import Record, RecordPlace
from promptarena.benchmark.training.trained_learner import LEARNED, Learned

LAYERS = 4
"""Number of layers diagnosed by default: the last ones."""

AUTO = "auto"
"""The word for the clearest concepts found, in the place of named attributes."""


@dataclass(frozen=True)
class Request:
    """What to diagnose; None stands for the default."""

    suite: str = "mini"
    layers: str | None = None
    images: str | None = None
    largest: int = 5000
    pool: Path | None = None
    texts_per_head: int = 20
    concepts: int = 12
    attributes: str = ",".join(ATTRIBUTES)
    encoder: str = DEFAULT
    out: Path | None = None
    device: str = "auto"
    threads: int = 1
    root: Path | None = None


def run_diagnosis(request: Request, place: RecordPlace) -> None:
    """Diagnose, write the role table, record it with its figures, and print a summary. Raises UserError."""
    suite = load_suite(request.suite)
    settings = Settings(texts_per_head=request.texts_per_head, concepts=request.concepts)
    attributes = chosen_attributes(request.attributes)
    pool = read_pool(request.pool or SHIPPED)
    images = find_images(request.images, suite, request.root, request.largest)
    backbone = _backbone(suite, request.device)
    layers = chosen_layers(request.layers, backbone)
    encoder = open_encoder(request.encoder)
    with _progress() as progress:
        task = progress.add_task("images", total=len(images.images))
        table = diagnose(
            backbone,
            layers,
            images,
            pool,
            encoder,
            settings,
            attributes=attributes,
            threads=request.threads,
            progress=lambda done, total: progress.update(task, completed=done),
        )
    out = request.out or place.results / "heads" / f"{suite.name}.json"
    table.save(out)
    record = Record.open(place)
    run_id = record_diagnosis(record, suite.name, table, figures(table))
    console = terminal.console()
    print_summary(console, table)
    console.print(f"Role table: {out}; with figures in run {run_id} of {record.shown}")


@dataclass(frozen=True)
class Search:
    """What to retrieve: the images of `folder` nearest to `query`, as seen by the learner of a run (or of a file)."""

    run: str
    folder: Path
    query: Path
    attribute: str
    top: int = 8
    suite: str = "mini"
    out: Path | None = None
    plugins: tuple[Path, ...] = ()
    device: str = "auto"
    threads: int = 1


def run_retrieval(search: Search, place: RecordPlace) -> None:
    """Rank the images, write the figure, record it with the run, and print the ranking. Raises UserError."""
    torch.set_num_threads(search.threads)
    suite, registry = load_suite(search.suite), load_registry(search.plugins)
    record, console = Record.open(place), terminal.console()
    of_run = {} if Path(search.run).is_file() else {**PARENT.of(search.run), "run": search.run}
    with tempfile.TemporaryDirectory() as folder:
        path = _fetched(record, search.run, Path(folder)) if of_run else Path(search.run)
        learned, learned_digest = Learned.load(path), file_digest(path)
    method = learned.origin.method
    backbone = _backbone(suite, search.device, learned.origin.precision)
    learner = learned.learner(backbone, registry)
    if not isinstance(learner, retrieval.SeesAttributes):
        raise UserError(f"{method} has no image features of single attributes; give a run of dear")
    for line in learned.changes(backbone, registry):
        terminal.console(stderr=True).print(f"Note: {line}", style="yellow")
    with _progress() as progress:
        task = progress.add_task("images", total=None)
        found = retrieval.retrieve(
            backbone,
            learner,
            search.query,
            search.folder,
            search.attribute,
            search.top,
            lambda done, total: progress.update(task, completed=done, total=total),
        )
    images = retrieval.figures(found, search.query, search.folder)
    out = search.out or place.results / "heads" / f"{search.query.stem}-{search.attribute}.png"
    for ending in retrieval.FORMATS:
        write_atomically(out.with_suffix(f".{ending}"), images[f"retrieval.{ending}"])
    ranking = {"ranking.json": found.text().encode()}
    run_id = record.document(
        suite.name,
        "retrieval",
        f"{method}: nearest to {search.query.name} by {search.attribute}",
        digest(learned_digest, found.text()),
        {"method": method, "attribute": search.attribute, "backbone_digest": backbone.digest, **of_run},
        {"compared": float(found.compared)},
        {**ranking, **images},
    )
    print_ranking(console, found)
    console.print(f"Figure: {out}; recorded in run {run_id} of {record.shown}")


def _fetched(record: Record, run: str, folder: Path) -> Path:
    try:
        return record.artifact(run, LEARNED, folder)
    except UserError as error:
        raise UserError(f"{error}; give the id of a finished run, or the path of a {LEARNED}") from error


def print_ranking(console: Console, found: retrieval.Retrieval) -> None:
    """Print the nearest images by the attribute, and next to them those by plain CLIP."""
    console.print(f"Nearest to {found.query_name} among {found.compared} images:")
    table = terminal.table("", f"by {found.attribute}", "cosine", f"by {retrieval.PLAIN}", "cosine")
    for rank, (own, plain) in enumerate(zip(found.by_attribute, found.by_clip, strict=True), start=1):
        terminal.add(table, str(rank), own.name, f"{own.cosine:.4f}", plain.name, f"{plain.cosine:.4f}")
    console.print(table, soft_wrap=False)


def _backbone(suite: Suite, device: str, precision: Precision = "fp32") -> Backbone:
    source = suite.backbone
    return load_backbone(source.given_architecture, source.given_weights, device=device, precision=precision)


def _progress() -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    return Progress(*columns, console=Console(stderr=True), transient=True)


def chosen_layers(text: str | None, backbone: Backbone) -> range:
    """Layers counted from 1: "9-12", "12", or the last four for None. Raises UserError for any other text."""
    depth = backbone.vision.depth
    if text is None:
        return range(max(1, depth + 1 - LAYERS), depth + 1)
    found = re.fullmatch(r"(\d+)(?:-(\d+))?", text.strip())
    if not found:
        raise UserError(f"--layers {text}: give a layer or a range of layers, such as 9-12")
    layers = range(int(found[1]), int(found[2] or found[1]) + 1)
    check_layers(backbone, layers)
    return layers


def chosen_attributes(text: str) -> tuple[str, ...] | None:
    """Attributes between commas, or None for "auto". Raises UserError when a name is empty or there twice."""
    names = tuple(name.strip() for name in text.split(","))
    if names == (AUTO,):
        return None
    if not all(names) or len(set(names)) != len(names) or set(names) & {AUTO, "mixed", "generalization"}:
        raise UserError(f"--attributes {text}: give different names between commas, such as colour,shape, or {AUTO}")
    return names


def print_summary(console: Console, table: RoleTable) -> None:
    """Print the roles by layer, the heads of each attribute, the rule that set the roles, and warnings."""
    console.print(
        f"{table.backbone}: {len(table.heads)} heads, {table.images.count} images ({table.images.name}), "
        f"{table.pool.count} texts ({table.pool.name}), {table.encoder.name}"
    )
    roles = _table("layer", "attribute", "generalization", "mixed", "entropy in bits")
    for layer in table.layers:
        rows = [head for head in table.heads if head.layer == layer]
        counts = [sum(head.role == role for head in rows) for role in ("attribute", "generalization", "mixed")]
        entropies = [head.entropy for head in rows]
        roles.add_row(str(layer), *map(str, counts), f"{min(entropies):.2f} to {max(entropies):.2f}")
    every = [head.role for head in table.heads]
    roles.add_row("all", *(str(every.count(role)) for role in ("attribute", "generalization", "mixed")), "")
    console.print(roles, soft_wrap=False)
    console.print()
    served = _table("attribute", "heads that serve it")
    for attribute in table.attributes:
        places = [f"L{head.layer} H{head.head}" for head in table.serving(attribute)]
        served.add_row(Text(attribute), Text(", ".join(places) or "none"))
    others = [f"L{head.layer} H{head.head}" for head in table.heads if head.role == "attribute" and not head.attribute]
    served.add_row("something else", Text(", ".join(others) or "none"))
    console.print(served, soft_wrap=False)
    console.print()
    console.print(f"Roles by {table.rule}; {len(table.concepts)} concepts (min_cluster_size {table.found_with}):")
    for concept in table.concepts:
        console.print(f"  {concept.name} ({concept.texts} texts)")
    for warning in table.warnings():
        console.print(Text(f"Note: {warning}", style="yellow"))


def _table(*headers: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for header in headers:
        table.add_column(header)
    return table
