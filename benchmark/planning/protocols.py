"""The protocols: which learners are trained on what, and which test images each is scored on.

Pure functions over names; docs/protocols.md gives the rules in words.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from promptarena.benchmark.core.errors import UserError, unknown
from promptarena.benchmark.core.runs import PROTOCOLS, Protocol, RunSpec, Subset, Target
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
    """Every run of a comparison, ordered by protocol, trained dataset, shots, method, variant, seed.

    `methods` says for each name whether the method draws anything at random; one that does not runs once, with seed
    None. An empty sequence stands for the suite's default: its protocols, its seeds, all its datasets, and for `shots`
    `suite.shots` (in the few-shot protocol `suite.few_shot_shots`). `datasets` picks the trained datasets of
    base-to-novel and few-shot, and the targets of the transfer protocols, whose source is always trained on and scored.
    `overrides` maps a method to its changed settings, `variants` to further ones, each of which, beside these, is run
    as a method of its own.

    Raises UserError for an unknown protocol, dataset or overridden method, a protocol the suite has no datasets for, or
    a negative seed or fewer than one shot.
    """
    changed = overrides or {}
    for name in changed:
        if name not in methods:
            raise unknown("method", name, methods)
    settings = {
        name: [{**changed.get(name, {}), **more} for more in ({}, *(variants or {}).get(name, ()))] for name in methods
    }
    wanted = _known(datasets, suite.dataset_names)
    runs: list[RunSpec] = []
    notes: list[str] = []
    for protocol in _unique(_protocol(name) for name in protocols) or suite.protocols:
        trainings = _trainings(suite, protocol, wanted)
        if not trainings:
            notes.append(f"{protocol} is left out: none of {', '.join(sorted(wanted or ()))} is a dataset it scores")
        default_shots = suite.few_shot_shots if protocol == "few-shot" else (suite.shots,)
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


def _trainings(suite: Suite, protocol: Protocol, wanted: frozenset[str] | None) -> tuple[_Training, ...]:
    def keep(names: Iterable[str]) -> Iterator[str]:
        return (name for name in names if wanted is None or name in wanted)

    for field in suite.needed(protocol):
        if not getattr(suite, field):
            raise UserError(f"suite {suite.name!r} cannot run {protocol}: it names no {field}")
    if protocol == "base-to-novel":
        return tuple(
            _Training(name, "base", (Target(name, "base"), Target(name, "novel"))) for name in keep(suite.datasets)
        )
    if protocol == "few-shot":
        return tuple(_Training(name, "all", (Target(name, "all"),)) for name in keep(suite.datasets))
    scored = tuple(keep(suite.targets if protocol == "cross-dataset" else suite.variants))
    if suite.source is None or not scored:
        return ()
    return (_Training(suite.source, "all", tuple(Target(name, "all") for name in (suite.source, *scored))),)


def _protocol(name: str) -> Protocol:
    for protocol in PROTOCOLS:
        if name == protocol:
            return protocol
    raise unknown("protocol", name, PROTOCOLS)


def _known(names: Sequence[str], known: Sequence[str]) -> frozenset[str] | None:
    for name in names:
        if name not in known:
            raise unknown("dataset", name, known)
    return frozenset(names) or None


def _seeds(seeds: Sequence[int], suite: Suite) -> tuple[int, ...]:
    return _unique(seeds) or suite.seeds


def _unique(values: Iterable[Value]) -> tuple[Value, ...]:
    return tuple(dict.fromkeys(values))
