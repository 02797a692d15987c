"""What a report says about the runs behind it: versions, machines, digests, splits, settings.

A run is a mapping of plain values, as in exports, with the keys "spec", "config", "recipe", "provenance" and
"environment". Values that a run lacks are left out.
"""

import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.core.protocol_table import PROTOCOLS

Run = Mapping[str, Any]

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
    """How the rows of a method were made.

    Args:
        label: The rows' label.
        protocols: The protocols with these settings.
        runs: The number of runs.
        seeds: The seeds, or that the method uses no random numbers.
        origin: Where the method's code comes from.
        source: The digest of this code.
        config: The method's settings.
        recipe: The training recipe.
    """

    label: str
    protocols: tuple[str, ...]
    runs: int
    seeds: str
    origin: str
    source: str
    config: str
    recipe: str


def facts(runs: Sequence[Run]) -> tuple[list[Fact], list[Fact]]:
    """The facts that all runs share, and those in which they differ, by field."""
    values: dict[str, dict[str, list[str]]] = {}
    for run in runs:
        shown = [pair for pair in part(run, "provenance").items() if pair[0] not in _PER_SPLIT + _PER_METHOD]
        named = [(_NAMES.get(name, name), value) for name, value in shown]
        environment = {name: value for name, value in part(run, "environment").items() if name not in _PER_RUN}
        for name, value in (*named, *environment.items()):
            values.setdefault(name.replace("_", " "), {}).setdefault(_text(value), []).append(label_of(run))
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
        spec, provenance = part(run, "spec"), part(run, "provenance")
        if provenance.get("train_split"):
            place = (spec.get("dataset", ""), spec.get("subset", ""), "training")
            found[Split(*place, spec.get("shots"), spec.get("seed"), str(provenance["train_split"]))] = None
        for target, digest in (provenance.get("targets") or {}).items():
            dataset, _, subset = target.rpartition("/")
            found[Split(dataset, subset, "test", None, None, str(digest))] = None
    return sorted(found, key=lambda split: tuple(map(_order, vars(split).values())))


def lines(runs: Iterable[Run]) -> list[Line]:
    """A line for each method and its settings, sorted by name; protocols with the same settings share one."""
    found: dict[Line, list[tuple[str, int]]] = {}
    for (protocol, label), group in by_row(runs).items():
        line = Line(
            label=label,
            protocols=(),
            runs=0,
            seeds=", ".join(map(str, numbers(group, "seed"))) or "draws nothing",
            origin=_some(distinct(group, "method_origin")),
            source=_some(distinct(group, "method_source")),
            config=_settings(group, "config"),
            recipe=_settings(group, "recipe"),
        )
        found.setdefault(line, []).append((protocol, len(group)))
    made = [
        replace(line, protocols=tuple(name for name, _ in groups), runs=sum(count for _, count in groups))
        for line, groups in found.items()
    ]
    return sorted(made, key=lambda line: line.label)


def by_row(runs: Iterable[Run]) -> dict[tuple[str, str], list[Run]]:
    """The runs by protocol and label, in the order of protocols, then by name."""
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((part(run, "spec").get("protocol", ""), label_of(run)), []).append(run)
    order: dict[str, int] = {protocol: place for place, protocol in enumerate(PROTOCOLS)}
    return dict(sorted(groups.items(), key=lambda item: (order.get(item[0][0], 9), item[0][1])))


def numbers(runs: Sequence[Run], name: str) -> list[int]:
    """The values of a numeric field of the runs' plans, ascending."""
    return sorted({spec[name] for run in runs if (spec := part(run, "spec")).get(name) is not None})


def distinct(runs: Sequence[Run], name: str) -> list[str]:
    """The values of a field of the runs' provenance, each once."""
    return list(dict.fromkeys(str(value) for run in runs if (value := part(run, "provenance").get(name))))


def _settings(runs: Sequence[Run], name: str) -> str:
    """`name=value` for the settings that all runs share, and the names of those in which they differ."""
    tables = [part(run, name) for run in runs]
    names = list(dict.fromkeys(name for table in tables for name in table))
    texts = {each: {_text(table.get(each)) for table in tables} for each in names}
    shared = [f"{each}={next(iter(found))}" for each, found in texts.items() if len(found) == 1]
    varied = [each for each, found in texts.items() if len(found) > 1]
    return "; ".join(
        [", ".join(shared)] * bool(shared) + [f"different between runs: {', '.join(varied)}"] * bool(varied)
    )


def part(run: Run, name: str) -> Mapping[str, Any]:
    """A table of a run's values, such as "spec"; empty if the run lacks it."""
    return run.get(name) or {}


def label_of(run: Run) -> str:
    """The label of a run's method, without reading and shots."""
    spec = part(run, "spec")
    overrides = tuple((str(name), str(value)) for name, value in spec.get("overrides") or ())
    return str(Label(str(spec.get("method", "")), overrides))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:_NAMED]) + (f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else "")


def _order(value: Hashable) -> tuple[bool, bool, Any]:
    return value is not None, isinstance(value, str), value if value is not None else 0
