"""Which runs may be in one table: their figures are averaged and compared only if the runs agree in what decides them.

Every run makes claims: in a scope (such as "dataset, shots and seed") a field (such as the digest of the training
images) has a value. Runs that share a scope must claim the same values.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.runs import StoredResult

VALUE_CHARACTERS = 12
"""Characters of a value that a message shows: digests are known by their beginning."""
SHOWN = 3
"""How many runs, fields or conflicts a message lists."""
ADVICE = (
    "choose methods with --methods, delete the runs that should not count in MLflow, or run the comparison again "
    "so that all have the same settings"
)

Fields = tuple[tuple[str, str], ...]
"""(name, value) of settings."""
Claims = Mapping[tuple[Any, ...], Fields]
"""What a run claims, by scope."""


class _Kind(NamedTuple):
    """A kind of scope: the beginning of the sentence that refuses a conflict, and what a run claims in such scopes."""

    refusal: str
    claims: Callable[[StoredResult], Claims]


def unmixed(results: Iterable[StoredResult]) -> tuple[list[StoredResult], list[dict[str, str]]]:
    """Leave out or refuse runs whose figures must not be averaged or compared with the others.

    These must agree:

    - the backbone's digest, over all runs of a protocol;
    - the digest of a target's test images, over runs scored on that target;
    - the digest of the training images, over runs of one dataset, number of shots and seed;
    - precision and the versions of training, image transform and protocol, over all runs of a method and number of
    shots;
    - configuration and recipe, over the seeds of a method on one dataset.

    Datasets that the harness split itself (own splits) count as other datasets than their published versions.

    If runs disagree, the newest and those that agree with it are kept, provided that they cover everything the others
    scored; the others are left out. A method's source code may differ, as it does after any edit of its file; a note
    says so.

    Args:
        results: Recorded results.

    Returns:
        The results that are kept, in the given order, and a note ("protocol", "text") for each group left out.

    Raises:
        UserError: Runs disagree and the newest do not cover the others. It names runs, fields and values.
    """
    kept, notes = list(results), list[dict[str, str]]()
    for kind in _KINDS:
        kept, said = _settled(kept, kind)
        notes += said
    return kept, notes + _code_notes(kept)


def _settled(results: list[StoredResult], kind: _Kind) -> tuple[list[StoredResult], list[dict[str, str]]]:
    """Apply one kind of scope: the results that are kept, and notes on the others. Raises UserError on a conflict."""
    scopes: dict[tuple[Any, ...], dict[Fields, list[StoredResult]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        for scope, fields in kind.claims(result).items():
            scopes[scope][fields].append(result)
    dropped: dict[int, StoredResult] = {}
    notes, mixes = [], []
    for groups in (groups for groups in scopes.values() if len(groups) > 1):
        newest = max(groups, key=lambda fields: max(map(_age, groups[fields])))
        others = [result for fields, group in groups.items() if fields != newest for result in group]
        if _cells(others) <= _cells(groups[newest]):
            if any(id(result) not in dropped for result in others):
                text = f"{_where(groups)}: older runs are left out: {_differences(groups)}"
                notes.append({"protocol": others[0].protocol, "text": text})
            dropped |= {id(result): result for result in others}
        else:
            mixes.append(f"{_where(groups)}: {_differences(groups)}")
    if mixes:
        more = f"; and {len(mixes) - SHOWN} more like it" if len(mixes) > SHOWN else ""
        raise UserError(f"{kind.refusal} {'; '.join(mixes[:SHOWN])}{more}; {ADVICE}")
    return [result for result in results if id(result) not in dropped], notes


def _code_notes(results: Iterable[StoredResult]) -> list[dict[str, str]]:
    """A note for each row whose newest runs were made by different versions of the method's source."""
    newest = {(run.protocol, run.label, run.dataset, run.shots, run.seed): run for run in sorted(results, key=_age)}
    rows: dict[tuple[str, str], dict[Fields, list[StoredResult]]] = defaultdict(lambda: defaultdict(list))
    for run in newest.values():
        rows[run.protocol, run.label][_picked(run, "provenance.method_source")].append(run)
    return [
        {"protocol": protocol, "text": f"{label}: runs of different versions of its code: {_differences(groups)}"}
        for (protocol, label), groups in rows.items()
        if len(groups) > 1
    ]


def _backbone(result: StoredResult) -> Claims:
    return {(result.suite, result.protocol): _picked(result, "provenance.backbone")}


def _targets(result: StoredResult) -> Claims:
    prefix = "provenance.targets."
    return {
        (result.suite, result.protocol, name, name.removeprefix(prefix).split("/")[0] in result.own_splits): (
            (name, value),
        )
        for name, value in result.settings.items()
        if name.startswith(prefix)
    }


def _draw(result: StoredResult) -> Claims:
    own = result.dataset in result.own_splits
    scope = (result.suite, result.protocol, result.dataset, result.shots, result.seed or 0, own)
    return {scope: _picked(result, "provenance.train_split")}


def _versions(result: StoredResult) -> Claims:
    names = ("provenance.precision", "provenance.training_version", "provenance.transform_version")
    # Runs recorded before protocols had versions are of version 1.
    protocol = ("provenance.protocol_version", result.settings.get("provenance.protocol_version", "1"))
    return {(result.suite, result.protocol, result.label, result.shots): (*_picked(result, *names), protocol)}


def _recipe(result: StoredResult) -> Claims:
    own = result.dataset in result.own_splits
    scope = (result.suite, result.protocol, result.label, result.dataset, result.shots, own)
    names = sorted(name for name in result.settings if name.startswith(("config.", "recipe.")))
    return {scope: _picked(result, *names)}


_KINDS = (
    _Kind("one leaderboard cannot mix", _backbone),
    _Kind("one leaderboard cannot mix", _targets),
    _Kind("one leaderboard cannot mix", _draw),
    _Kind("cannot average", _versions),
    _Kind("cannot average", _recipe),
)
"""In this order: runs left out under one kind take no part in the next, so the order decides notes and refusals."""


def _picked(result: StoredResult, *names: str) -> Fields:
    return tuple((name, result.settings[name]) for name in names if name in result.settings)


def _age(result: StoredResult) -> tuple[Any, str]:
    """A sort key, the newest last. The run's id decides between equal times, so the choice is the same on every
    machine.
    """
    return (result.finished_at, result.run_id)


def _cells(results: Iterable[StoredResult]) -> set[tuple[Any, ...]]:
    """Everything that the runs scored, or recorded as impossible to score."""
    return {
        (result.label, result.dataset, result.shots, result.seed, target)
        for result in results
        for target in (*(score.target for score in result.scores), *result.unscored)
    }


def _where(groups: Mapping[Fields, Sequence[StoredResult]]) -> str:
    runs = [run for group in groups.values() for run in group]
    labels = list(dict.fromkeys(run.label for run in runs))
    datasets = list(dict.fromkeys(run.dataset for run in runs))
    return f"{listed(labels)} on {listed(datasets)} ({runs[0].protocol})"


def _differences(groups: Mapping[Fields, Sequence[StoredResult]]) -> str:
    """Each differing field with its values, oldest first, and the runs that have each value."""
    oldest_first = sorted(groups, key=lambda fields: max(map(_age, groups[fields])))
    values = [dict(fields) for fields in oldest_first]
    names = sorted({name for fields in values for name in fields if len({each.get(name) for each in values}) > 1})
    return " but ".join(
        f"{', '.join(f'{name} {_shown(each.get(name))}' for name in names[:SHOWN])}"
        f"{' and others' if len(names) > SHOWN else ''} in {_runs(groups[fields])}"
        for fields, each in zip(oldest_first, values, strict=True)
    )


def _runs(results: Sequence[StoredResult]) -> str:
    ordered = sorted(results, key=lambda run: (run.label, run.dataset, run.seed or 0, run.run_id))
    return listed([f"{run.label} {run.dataset}{_seed(run)} (run {run.run_id[:8]})" for run in ordered])


def _seed(run: StoredResult) -> str:
    return "" if run.seed is None else f" seed {run.seed}"


def listed(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _shown(value: str | None) -> str:
    if value is None:
        return "not recorded"
    return value if len(value) <= VALUE_CHARACTERS else f"{value[:VALUE_CHARACTERS]}…"
