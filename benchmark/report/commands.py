"""The commands that make the runs of a report again."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptarena.benchmark.core.protocol_table import protocol_info
from promptarena.benchmark.core.suite_layout import SuiteLayout
from promptarena.benchmark.report.provenance import Run, by_row, distinct, numbers, part

PLAIN = "fp32"
"""The default precision, which commands need not name."""


@dataclass(frozen=True)
class Command:
    """A command that makes runs of one method, quoted for a shell.

    Args:
        label: The label of the method.
        protocols: The protocols of the runs.
        runs: The number of runs.
        line: The command.
    """

    label: str
    protocols: tuple[str, ...]
    runs: int
    line: str


def commands_of(layout: SuiteLayout, called: str, runs: Iterable[Run]) -> list[Command]:
    """The commands that repeat runs: one for each method, or several where its protocols differ in datasets, seeds,
    shots or precision.

    Args:
        layout: The suite's datasets.
        called: The suite in the printed commands.
        runs: The runs, as plain values.

    Returns:
        The commands, by the methods' names.
    """
    found: dict[tuple[str, tuple[str, ...]], list[tuple[str, list[Run]]]] = {}
    for (protocol, label), group in by_row(runs).items():
        found.setdefault((label, (*_chosen(layout, group), *_end(group))), []).append((protocol, group))
    return [
        Command(
            label=label,
            protocols=tuple(protocol for protocol, _ in groups),
            runs=sum(len(group) for _, group in groups),
            line=shlex.join([*_start(called, groups[0][1], [protocol for protocol, _ in groups]), *words]),
        )
        for (label, words), groups in sorted(found.items(), key=lambda item: item[0][0])
    ]


def command_ends(called: str, runs: Iterable[Run]) -> dict[tuple[str, str], tuple[str, str]]:
    """The beginning and the end of the command of each row, by protocol and label; datasets, seeds and shots go
    between the two.

    Args:
        called: The suite in the commands.
        runs: The runs, as plain values.
    """
    return {
        (protocol, label): (shlex.join(_start(called, group, [protocol])), shlex.join(_end(group)))
        for (protocol, label), group in by_row(runs).items()
    }


def _start(called: str, runs: Sequence[Run], protocols: Sequence[str]) -> list[str]:
    method = str(part(runs[0], "spec").get("method", ""))
    return ["promptarena", "compare", called, "--methods", method, "--protocols", *protocols]


def _chosen(layout: SuiteLayout, runs: Sequence[Run]) -> list[str]:
    datasets = _datasets(layout, [part(run, "spec") for run in runs])
    seeds, shots = numbers(runs, "seed"), numbers(runs, "shots")
    words = ["--datasets", *datasets] if datasets else []
    words += ["--seeds", *map(str, seeds)] if seeds else []
    return words + (["--shots", *map(str, shots)] if shots else [])


def _end(runs: Sequence[Run]) -> list[str]:
    spec = part(runs[0], "spec")
    words = []
    for name, value in spec.get("overrides") or ():
        words += ["--set", f"{spec.get('method', '')}.{name}={value}"]
    for precision in distinct(runs, "precision"):
        words += ["--precision", precision] if precision != PLAIN else []
    for origin in distinct(runs, "method_origin"):
        words += ["--plugin", origin] if origin.endswith(".py") else []
    return words


def _datasets(layout: SuiteLayout, specs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The datasets that `--datasets` has to name; none if the runs cover the whole suite."""
    info = protocol_info(str(specs[0].get("protocol")))
    every = getattr(layout, info.suite_field)
    used = {spec.get("dataset") for spec in specs}
    if info.is_transfer:
        used = {_dataset(target) for spec in specs for target in spec.get("targets") or ()}
    return [] if used >= set(every) else [name for name in every if name in used]


def _dataset(target: Any) -> Any:
    return target.get("dataset") if isinstance(target, Mapping) else target[0]
