"""The protocols: which learners are trained on what, and which test images each is scored on.

Pure functions over names; docs/protocols.md gives the rules in words.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from promptarena.benchmark.core.errors import UserError, unknown
from promptarena.benchmark.core.protocol_table import Protocol, protocol_info
from promptarena.benchmark.core.runs import RunSpec, Subset, Target
from promptarena.benchmark.planning.suites import Suite

Value = TypeVar("Value")


class Enumerated(NamedTuple):
    """The runs of a comparison, and a line for the user about each protocol that was left out."""

    runs: tuple[RunSpec, ...]
    notes: tuple[str, ...]


class _Training(NamedTuple):
    dataset: str
    subset: Subset
    targets: tuple[Target, ...]


def enumerate_runs(
    suite: Suite,
    methods: Mapping[str, bool],
    *,
    protocols: Sequence[str] = (),
    seeds: Sequence[int] = (),
    datasets: Sequence[str] = (),
    shots: Sequence[int] = (),
    overrides: Mapping[str, Mapping[str, str]] | None = None,
    variants: Mapping[str, Sequence[Mapping[str, str]]] | None = None,
) -> Enumerated:
    """List every run of a comparison.

    An empty sequence means the suite's default.

    Args:
        suite: The suite.
        methods: The methods by name; the value says whether a method is random. One that is not runs once, with seed
            None.
        protocols: The protocols.
        seeds: The seeds.
        datasets: The datasets that base-to-novel and few-shot train on, and the targets of the transfer protocols. The
            source of a transfer protocol is always trained on and scored.
        shots: Training images per class. The default is `suite.shots`, in the few-shot protocol
            `suite.few_shot_shots`.
        overrides: Changed settings by method and name.
        variants: By method, sets of further changed settings. Each set, added to `overrides`, is run as a method of its
            own, in addition to the method without it.

    Returns:
        The runs, ordered by protocol, trained dataset, shots, method, variant and seed, and the notes for the user.

    Raises:
        UserError: A protocol, dataset or overridden method is unknown, the suite has no datasets for a protocol, a seed
            is negative, or shots are below one.
    """
    changed = overrides or {}
    for name in changed:
        if name not in methods:
            raise unknown("method", name, methods)
    settings = {
        name: [{**changed.get(name, {}), **more} for more in ({}, *(variants or {}).get(name, ()))] for name in methods
    }
    requested = _known(datasets, suite.dataset_names)
    runs: list[RunSpec] = []
    notes: list[str] = []
    for protocol in _unique(protocol_info(name).name for name in protocols) or suite.protocols:
        trainings = _trainings(suite, protocol, requested)
        if not trainings:
            notes.append(f"{protocol} is left out: none of {', '.join(sorted(requested or ()))} is a dataset it scores")
        default_shots = suite.few_shot_shots if protocol_info(protocol).by_shots else (suite.shots,)
        runs.extend(
            RunSpec(
                suite=suite.name,
                protocol=protocol,
                method=method,
                dataset=training.dataset,
                subset=training.subset,
                shots=count,
                seed=seed,
                targets=training.targets,
                overrides=tuple(sorted(values.items())),
            )
            for training in trainings
            for count in _unique(shots) or default_shots
            for method, seeded in methods.items()
            for values in settings[method]
            for seed in (_seeds(seeds, suite) if seeded else (None,))
        )
    return Enumerated(tuple(runs), tuple(notes))


def _trainings(suite: Suite, protocol: Protocol, requested: frozenset[str] | None) -> tuple[_Training, ...]:
    info = protocol_info(protocol)
    for field in info.needs:
        if not getattr(suite, field):
            raise UserError(f"suite {suite.name!r} cannot run {protocol}: it names no {field}")
    names = [name for name in getattr(suite, info.suite_field) if requested is None or name in requested]
    return TRAININGS[protocol](suite, names)


def _base_to_novel(suite: Suite, names: Sequence[str]) -> tuple[_Training, ...]:
    """Train on the base classes of each dataset; score its base classes and its novel classes."""
    return tuple(_Training(name, "base", (Target(name, "base"), Target(name, "novel"))) for name in names)


def _open_world(suite: Suite, names: Sequence[str]) -> tuple[_Training, ...]:
    """Train on the base classes of each dataset; score all its classes at once."""
    return tuple(_Training(name, "base", (Target(name, "union"),)) for name in names)


def _few_shot(suite: Suite, names: Sequence[str]) -> tuple[_Training, ...]:
    """Train on all classes of each dataset and score them."""
    return tuple(_Training(name, "all", (Target(name, "all"),)) for name in names)


def _from_source(suite: Suite, names: Sequence[str]) -> tuple[_Training, ...]:
    """Train on the source; score the source and all targets."""
    if suite.source is None or not names:
        return ()
    return (_Training(suite.source, "all", tuple(Target(name, "all") for name in (suite.source, *names))),)


TRAININGS: dict[str, Callable[[Suite, Sequence[str]], tuple[_Training, ...]]] = {
    "base-to-novel": _base_to_novel,
    "cross-dataset": _from_source,
    "domain-generalization": _from_source,
    "few-shot": _few_shot,
    "open-world": _open_world,
}
"""For each protocol the function that gives its trainings on the chosen datasets, with the targets of each."""


def _known(names: Sequence[str], known: Sequence[str]) -> frozenset[str] | None:
    for name in names:
        if name not in known:
            raise unknown("dataset", name, known)
    return frozenset(names) or None


def _seeds(seeds: Sequence[int], suite: Suite) -> tuple[int, ...]:
    return _unique(seeds) or suite.seeds


def _unique(values: Iterable[Value]) -> tuple[Value, ...]:
    return tuple(dict.fromkeys(values))
