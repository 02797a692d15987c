"""What a report says about the runs behind it: versions, machines, digests, splits, settings, commands.

A run is a mapping of plain values, as in exports, with the keys "spec", "config", "recipe", "provenance" and
"environment". Values that a run lacks are left out.
"""

import json
import shlex
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.core.protocol_table import PROTOCOLS, protocol_info
from promptarena.benchmark.core.suite_layout import SuiteLayout

Run = Mapping[str, Any]

PLAIN = "fp32"
"""The default precision, which commands need not name."""
# Shown in tables of their own, so left out of the facts.
_PER_SPLIT = ("targets", "train_split", "own_splits", "fewest_images_per_class")
_PER_METHOD = ("method_source", "method_origin", "method_distribution")
_PER_RUN = ("training_steps", "learner_of")
_NAMES = {"backbone": "backbone, SHA-256"}
_NAMED = 6
"""How many names a cell lists; of the others it gives the number."""


@dataclass(frozen=True)
class Fact:
    """A value of a field.

    Args:
        name: The field.
        value: The value.
        runs: How many runs have it.
        labels: The methods of these runs, if not all runs have it; otherwise empty.
    """

    name: str
    value: str
    runs: int
    labels: str = ""


@dataclass(frozen=True)
class Split:
    """The digest of a set of images.

    Args:
        dataset: The card name.
        subset: The classes: "base", "novel" or "all".
        role: "training" for a few-shot split, "test" for a test split.
        shots: Training images per class; None for a test split.
        seed: The seed of the few-shot split; None for a test split.
        digest: The digest.
    """

    dataset: str
    subset: str
    role: str
    shots: int | None
    seed: int | None
    digest: str


@dataclass(frozen=True)
class Line:
    """How a row of a leaderboard was made.

    Args:
        label: The row's label.
        protocol: The protocol's name.
        runs: The number of runs.
        seeds: The seeds, or that the method uses no random numbers.
        origin: Where the method's code comes from.
        source: The digest of this code.
        config: The method's settings.
        recipe: The training recipe.
        command: The command that makes these runs, including missing ones.
    """

    label: str
    protocol: str
    runs: int
    seeds: str
    origin: str
    source: str
    config: str
    recipe: str
    command: str


def facts(runs: Sequence[Run]) -> tuple[list[Fact], list[Fact]]:
    """The facts that all runs share, and those in which they differ, by field."""
    values: dict[str, dict[str, list[str]]] = {}
    for run in runs:
        told = [pair for pair in _part(run, "provenance").items() if pair[0] not in _PER_SPLIT + _PER_METHOD]
        named = [(_NAMES.get(name, name), value) for name, value in told]
        environment = {name: value for name, value in _part(run, "environment").items() if name not in _PER_RUN}
        for name, value in (*named, *environment.items()):
            values.setdefault(name.replace("_", " "), {}).setdefault(_text(value), []).append(_label(run))
    shared, differing = [], []
    for name, by_value in values.items():
        for value, labels in by_value.items():
            if len(labels) == len(runs):
                shared.append(Fact(name, value, len(labels)))
            else:
                differing.append(Fact(name, value, len(labels), _some(dict.fromkeys(labels))))
    return shared, differing


def splits(runs: Iterable[Run]) -> list[Split]:
    """The splits of the runs, sorted by dataset. A split with several digests has a line for each."""
    found: dict[Split, None] = {}
    for run in runs:
        spec, provenance = _part(run, "spec"), _part(run, "provenance")
        if provenance.get("train_split"):
            place = (spec.get("dataset", ""), spec.get("subset", ""), "training")
            found[Split(*place, spec.get("shots"), spec.get("seed"), str(provenance["train_split"]))] = None
        for target, digest in (provenance.get("targets") or {}).items():
            dataset, _, subset = target.rpartition("/")
            found[Split(dataset, subset, "test", None, None, str(digest))] = None
    return sorted(found, key=lambda split: tuple(map(_order, vars(split).values())))


def lines(layout: SuiteLayout, called: str, runs: Iterable[Run]) -> list[Line]:
    """A line for each method and protocol, sorted by protocol and name.

    Args:
        layout: The suite's datasets.
        called: The suite in the printed commands.
        runs: The runs, as plain values.
    """
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((_part(run, "spec").get("protocol", ""), _label(run)), []).append(run)
    order: dict[str, int] = {protocol: place for place, protocol in enumerate(PROTOCOLS)}
    return [
        Line(
            label=label,
            protocol=protocol,
            runs=len(group),
            seeds=", ".join(map(str, _numbers(group, "seed"))) or "draws nothing",
            origin=_some(_distinct(group, "method_origin")),
            source=_some(_distinct(group, "method_source")),
            config=_settings(group, "config"),
            recipe=_settings(group, "recipe"),
            command=command(layout, called, group),
        )
        for (protocol, label), group in sorted(groups.items(), key=lambda item: (order.get(item[0][0], 9), item[0][1]))
    ]


def command(layout: SuiteLayout, called: str, runs: Sequence[Run]) -> str:
    """The command that repeats these runs, quoted for a shell.

    Args:
        layout: The suite's datasets.
        called: The suite in the command.
        runs: At least one run, all of one method and protocol.
    """
    specs = [_part(run, "spec") for run in runs]
    first = specs[0]
    protocol, method = first.get("protocol", ""), first.get("method", "")
    words = ["promptarena", "compare", called, "--methods", method, "--protocols", protocol]
    chosen = _datasets(layout, specs)
    words += ["--datasets", *chosen] if chosen else []
    seeds, shots = _numbers(runs, "seed"), _numbers(runs, "shots")
    words += ["--seeds", *map(str, seeds)] if seeds else []
    words += ["--shots", *map(str, shots)] if shots else []
    for name, value in first.get("overrides") or ():
        words += ["--set", f"{method}.{name}={value}"]
    for precision in _distinct(runs, "precision"):
        words += ["--precision", precision] if precision != PLAIN else []
    for origin in _distinct(runs, "method_origin"):
        words += ["--plugin", origin] if origin.endswith(".py") else []
    return shlex.join(map(str, words))


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


def _numbers(runs: Sequence[Run], name: str) -> list[int]:
    return sorted({spec[name] for run in runs if (spec := _part(run, "spec")).get(name) is not None})


def _distinct(runs: Sequence[Run], name: str) -> list[str]:
    return list(dict.fromkeys(str(value) for run in runs if (value := _part(run, "provenance").get(name))))


def _settings(runs: Sequence[Run], part: str) -> str:
    """`name=value` for the settings that all runs share, and the names of those in which they differ."""
    tables = [_part(run, part) for run in runs]
    names = list(dict.fromkeys(name for table in tables for name in table))
    texts = {name: {_text(table.get(name)) for table in tables} for name in names}
    alike = [f"{name}={next(iter(found))}" for name, found in texts.items() if len(found) == 1]
    varied = [name for name, found in texts.items() if len(found) > 1]
    return "; ".join([", ".join(alike)] * bool(alike) + [f"not alike in all runs: {', '.join(varied)}"] * bool(varied))


def _part(run: Run, name: str) -> Mapping[str, Any]:
    return run.get(name) or {}


def _label(run: Run) -> str:
    spec = _part(run, "spec")
    overrides = tuple((str(name), str(value)) for name, value in spec.get("overrides") or ())
    return str(Label(str(spec.get("method", "")), overrides))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:_NAMED]) + (f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else "")


def _order(value: Hashable) -> tuple[bool, bool, Any]:
    return value is not None, isinstance(value, str), value if value is not None else 0
