"""`compare --plan` without data or weights: what is missing, what would run, how long it may take."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from promptarena.benchmark.backbone.loading import missing_weights
from promptarena.benchmark.cli.commands import terminal
from promptarena.benchmark.core.protocol_table import protocol_info
from promptarena.benchmark.core.runs import RunSpec
from promptarena.benchmark.planning.enumeration import RequestedRuns
from promptarena.benchmark.planning.gpu_hours import (
    CORES,
    DECODED_PER_CORE,
    LAUNCH_SECONDS,
    REPLAYED_LAUNCHES,
    STEP_KERNELS,
    SUSTAINED_TFLOPS,
    GpuTime,
    gpu_hours,
    missing_data,
    without_failing,
)
from promptarena.benchmark.planning.suites import Suite
from promptarena.benchmark.running.progress import duration


@dataclass(frozen=True)
class Lacking:
    """What a comparison lacks before it can be planned: datasets by name with the reason, and weights."""

    data: dict[str, str]
    weights: str | None


def lacking(requested: RequestedRuns, data_root: Path | None) -> Lacking | None:
    """The data and weights that requested runs need and that are not here; None when nothing is missing.

    Nothing is downloaded. Raises UserError for data that cannot be read.
    """
    source = requested.suite.backbone
    weights = missing_weights(source.given_architecture, source.given_weights)
    data = missing_data(requested.suite, requested.runs, data_root)
    return Lacking(data, weights) if data or weights is not None else None


def preview(
    requested: RequestedRuns, missing: Lacking, *, cuda_graphs: bool = True
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What `print_preview` prints as one document for JSON, and the reasons why methods failed."""
    runs, failed = without_failing(requested.suite, requested.registry, requested.runs)
    hours = gpu_hours(requested.suite, requested.registry, runs, cuda_graphs=cuda_graphs)
    fields = ("method", "label", "protocol", "dataset", "subset", "shots", "seed")
    reasons = (*map(str, requested.failed), *failed)
    document = {
        "suite": requested.suite.name,
        "notes": requested.notes,
        "failed": reasons,
        "missing_weights": missing.weights,
        "missing_data": missing.data,
        "runs": [
            {
                "key": None,
                **{name: getattr(run, name) for name in fields},
                "status": "missing",
                "gpu_hours": hours[run].hours,
                "gpu_hours_by_work": asdict(hours[run]),
            }
            for run in runs
        ],
    }
    return document, reasons


def print_preview(
    console: Console, requested: RequestedRuns, missing: Lacking, gpus: int = 0, *, cuda_graphs: bool = True
) -> tuple[str, ...]:
    """What is missing and how to get it, then the runs by method and protocol with their estimated GPU hours.

    `gpus` is the number of GPUs here; `cuda_graphs` as for `gpu_hours`. Returns the reasons why methods failed, whose
    runs are left out.
    """
    suite = requested.suite
    runs, failed = without_failing(suite, requested.registry, requested.runs)
    console.print(f"{suite.title}: {len(runs)} runs.")
    for note in requested.notes:
        console.print(note)
    if missing.weights:
        console.print(f"Missing weights: {missing.weights}")
    if missing.data:
        _print_missing_data(console, suite, missing.data)
    hours = gpu_hours(suite, requested.registry, runs, cuda_graphs=cuda_graphs)
    protocols = list(dict.fromkeys(run.protocol for run in runs))
    headings = [protocol_info(protocol).heading for protocol in protocols]
    table = terminal.table("would run", *headings, "matrix\nproducts", "launches", "decoding", "GPU\ntime")
    for column in table.columns[1:]:
        column.justify = "right"
    for label in dict.fromkeys(run.label for run in runs):
        mine = [run for run in runs if run.label == label]
        terminal.add(table, label, *_counts(mine, protocols), *_times(mine, hours))
    terminal.add(table, "all", *_counts(runs, protocols), *_times(runs, hours))
    console.print(table, soft_wrap=False)
    total = sum((hours[run].hours for run in runs), 0.0)
    if gpus > 1 and total:
        longest = max(hours[run].hours for run in runs)
        console.print(f"On the {gpus} GPUs here: at least {duration(3600 * max(total / gpus, longest))}.")
    console.print(
        f"Estimated for one GPU with{'' if cuda_graphs else 'out'} CUDA graphs, nothing cached: "
        f"{SUSTAINED_TFLOPS:.0f} TFLOP/s sustained in matrix products; "
        f"{REPLAYED_LAUNCHES if cuda_graphs else STEP_KERNELS} launches a training step, "
        f"in {1e6 * LAUNCH_SECONDS:.0f} µs each; {CORES} CPU cores that decode {DECODED_PER_CORE:.0f} images "
        "a second each. The three go on at the same time: a run takes "
        "the longest of them."
    )
    return (*map(str, requested.failed), *failed)


def _print_missing_data(console: Console, suite: Suite, missing: Mapping[str, str]) -> None:
    console.print(f"Missing datasets ({len(missing)}):")
    for name, reason in missing.items():
        sources = suite.card(name).sources
        by_hand = [file.name for source in sources for file in source.files if not file.urls]
        if by_hand and len(sources) == 1:
            reason = f"by hand: {', '.join(by_hand)} ({sources[0].title})"
        elif sources:
            reason = f"from {', or '.join(source.title for source in sources)}"
        console.print(f"  {name}: {reason}")
    if prepared := [name for name in missing if suite.card(name).sources]:
        every = prepared == list(suite.dataset_names)
        names = f"--suite {suite.name}" if every else " ".join(prepared)
        console.print(f"Get them with: promptarena datasets prepare {names} --root FOLDER")


def _counts(runs: Sequence[RunSpec], protocols: Sequence[str]) -> list[str]:
    return [str(sum(run.protocol == protocol for run in runs)) for protocol in protocols]


def _times(runs: Sequence[RunSpec], hours: Mapping[RunSpec, GpuTime]) -> list[str]:
    """The time of each kind of work, and of the runs."""
    together = sum((hours[run] for run in runs), GpuTime())
    every = (together.products, together.launches, together.decoding, sum(hours[run].hours for run in runs))
    return [duration(3600 * each) if each else "unknown" for each in every]
