"""The runs that a request stands for. Needs the methods' code, but neither data nor weights."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from promptarena.benchmark.core.errors import UserError, unknown
from promptarena.benchmark.core.protocol_table import protocol_info
from promptarena.benchmark.core.recipe import ON_DEVICE
from promptarena.benchmark.core.runs import RunSpec
from promptarena.benchmark.planning.plan import RECIPE_PREFIX, parse_overrides
from promptarena.benchmark.planning.protocols import enumerate_runs
from promptarena.benchmark.planning.request import Request
from promptarena.benchmark.planning.suites import Suite, load_suite
from promptarena.benchmark.plugins.asking import MethodFailedError, ablations_of, asking, preset_of
from promptarena.benchmark.plugins.cards import ALL
from promptarena.benchmark.plugins.families import GROUPS, expanded
from promptarena.benchmark.plugins.registry import Registry, load_registry


@dataclass(frozen=True)
class RequestedRuns:
    """The runs that a request stands for, with the suite and the methods that they were made of.

    `notes` are lines for the user, `failed` the errors of methods that were left out. `methods_named` says whether the
    user named the methods, so that one that is not ready is an error, not left out.
    """

    suite: Suite
    registry: Registry
    runs: tuple[RunSpec, ...]
    notes: tuple[str, ...]
    methods_named: bool
    failed: tuple[MethodFailedError, ...] = ()


def enumerate_request(request: Request, suite: str, plugins: Sequence[Path] = ()) -> RequestedRuns:
    """The runs that a request stands for.

    Args:
        request: what the user requests.
        suite: a built-in suite's name, or the path of a suite's file.
        plugins: files with further methods.

    Returns:
        The runs in the order of `enumerate_runs`.

    Raises:
        UserError: an unknown name, a bad setting, or a file that cannot be used.
    """
    loaded, registry = load_suite(suite), load_registry(plugins)
    for name in loaded.training.own_lr_multipliers:
        registry.get(name)  # a name that is misspelled would change nothing
    ablations: dict[str, Mapping[str, Mapping[str, Any]]] = {}
    failed = []
    for name in _chosen_methods(request, loaded, registry, plugins):
        try:
            ablations[name] = ablations_of(registry.get(name))
        except MethodFailedError as error:
            failed.append(error)
    names = list(ablations)
    named = any(name not in GROUPS for name in request.methods)
    enumerated = enumerate_runs(
        loaded,
        {name: registry.get(name).learner.seeded for name in names},
        protocols=request.protocols,
        seeds=request.seeds,
        datasets=request.datasets,
        shots=request.shots,
        overrides=parse_overrides(request.settings, names),
        variants=_ablated(request.ablations, ablations, failed),
    )
    runs = enumerated.runs
    if request.augment_on_device:
        runs = _cropped_on_device(runs, loaded, registry)
    return RequestedRuns(loaded, registry, runs, enumerated.notes, named, tuple(failed))


def _chosen_methods(request: Request, suite: Suite, registry: Registry, plugins: Sequence[Path]) -> list[str]:
    if ALL in request.methods:
        return list(registry.methods)
    given = {str(path) for path in plugins}
    of_files = [method.name for method in registry.methods.values() if method.origin in given]
    return expanded(request.methods, registry.methods) or list(dict.fromkeys((*suite.methods, *of_files)))


def _cropped_on_device(runs: Sequence[RunSpec], suite: Suite, registry: Registry) -> tuple[RunSpec, ...]:
    """The runs with the setting in those that train on random crops. Raises UserError where none does."""
    name = f"{RECIPE_PREFIX}augmentation"
    changed = tuple(
        replace(run, overrides=tuple(sorted({name: ON_DEVICE, **dict(run.overrides)}.items())))
        if _crops(run, suite, registry)
        else run
        for run in runs
    )
    if changed == tuple(runs):
        methods = ", ".join(dict.fromkeys(run.method for run in runs))
        raise UserError(
            f"--augment-on-device: no method trains on random crops in suite {suite.name} ({methods}); leave it out"
        )
    return changed


def _crops(run: RunSpec, suite: Suite, registry: Registry) -> bool:
    task = suite.task(protocol_info(run.protocol).training, run.dataset, run.shots)
    try:
        _, recipe = preset_of(registry.get(run.method), task)
    except MethodFailedError:  # planning the run gives the reason
        return False
    return suite.training.augment and recipe.augment and recipe.augmentation == "crop"


def _ablated(
    chosen: Sequence[str],
    declared: Mapping[str, Mapping[str, Mapping[str, Any]]],
    failed: list[MethodFailedError],
) -> dict[str, list[dict[str, str]]]:
    """The settings of the chosen ablations by method, as `--set` would give them; errors are added to `failed`."""
    known = list(dict.fromkeys(ablation for ablations in declared.values() for ablation in ablations))
    if chosen and declared and not known:
        raise UserError(f"--ablate: none of {', '.join(declared)} declares ablations; methods show NAME lists them")
    for name in chosen:
        if name not in (*known, ALL):
            raise unknown("ablation", name, known)
    variants: dict[str, list[dict[str, str]]] = {}
    for method, ablations in declared.items():
        try:
            with asking(method, "ablations"):
                variants[method] = [
                    {name: value if isinstance(value, str) else json.dumps(value) for name, value in settings.items()}
                    for ablation, settings in ablations.items()
                    if ablation in chosen or ALL in chosen
                ]
        except MethodFailedError as error:
            failed.append(error)
            variants[method] = []
    return variants
