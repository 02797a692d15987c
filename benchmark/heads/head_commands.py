"""What `promptarena heads` does and prints."""

import re
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from promptarena.benchmark.backbone import Backbone
from promptarena.benchmark.errors import UserError
from promptarena.benchmark.heads.concepts import ATTRIBUTES
from promptarena.benchmark.heads.diagnose import check_layers, diagnose
from promptarena.benchmark.heads.encoder import DEFAULT, open_encoder
from promptarena.benchmark.heads.figures import figures
from promptarena.benchmark.heads.pictures import find_images
from promptarena.benchmark.heads.pool import SHIPPED, read_pool
from promptarena.benchmark.heads.record_heads import record_diagnosis
from promptarena.benchmark.heads.roles import RoleTable, Settings
from promptarena.benchmark.record import Record
from promptarena.benchmark.record_store import shown
from promptarena.benchmark.suites import load_suite
from promptarena.benchmark.weights import load_backbone

LAYERS = 4
"""Layers looked at when none are named: the last ones."""


@dataclass(frozen=True)
class Request:
    """What is to be diagnosed; None stands for the default."""

    suite: str = "mini"
    layers: str | None = None
    images: str | None = None
    largest: int = 5000
    pool: Path | None = None
    texts_per_head: int = 20
    concepts: int = 12
    encoder: str = DEFAULT
    out: Path | None = None
    device: str = "auto"
    threads: int = 1
    root: Path | None = None


def run_diagnosis(request: Request, results: Path, tracking_uri: str | None) -> None:
    """Diagnose, write the role table, record it with its figures, and print a summary. Raises UserError."""
    suite = load_suite(request.suite)
    settings = Settings(texts_per_head=request.texts_per_head, concepts=request.concepts)
    pool = read_pool(request.pool or SHIPPED)
    pictures = find_images(request.images, suite, request.root, request.largest)
    source = suite.backbone
    backbone = load_backbone(
        source.config or source.architecture or "", source.weights or source.pretrained or "", device=request.device
    )
    layers = chosen_layers(request.layers, backbone)
    encoder = open_encoder(request.encoder)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("pictures", total=len(pictures.images))
        table = diagnose(
            backbone,
            layers,
            pictures,
            pool,
            encoder,
            settings,
            threads=request.threads,
            progress=lambda done, total: progress.update(task, completed=done),
        )
    out = request.out or results / "heads" / f"{suite.name}.json"
    table.save(out)
    record = Record.open(results, tracking_uri)
    run_id = record_diagnosis(record, suite.name, table, figures(table))
    console = Console(soft_wrap=True, markup=False, emoji=False, highlight=False)
    print_summary(console, table)
    console.print(f"Role table: {out}; with figures in run {run_id} of {shown(record.uri)}")


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


def print_summary(console: Console, table: RoleTable) -> None:
    """Roles by layer, who serves the attributes, which rule fired, and what to look out for."""
    console.print(
        f"{table.backbone}: {len(table.heads)} heads, {table.images.count} pictures ({table.images.name}), "
        f"{table.pool.count} texts ({table.pool.name}), {table.encoder.name}"
    )
    roles = _table("layer", "attribute", "generalization", "mixed", "entropy in bits")
    for layer in table.layers:
        rows = [head for head in table.heads if head.layer == layer]
        counts = [sum(head.role == role for head in rows) for role in ("attribute", "generalization", "mixed")]
        entropies = [head.entropy for head in rows]
        roles.add_row(str(layer), *map(str, counts), f"{min(entropies):.2f} to {max(entropies):.2f}")
    console.print(roles, soft_wrap=False)
    console.print()
    served = _table("attribute", "heads that serve it")
    for attribute in ATTRIBUTES:
        places = [f"L{head.layer} H{head.head}" for head in table.serving(attribute)]
        served.add_row(attribute, Text(", ".join(places) or "none"))
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
