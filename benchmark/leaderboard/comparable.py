"""Which runs may stand in one table: figures are averaged, and methods compared, only where what they rest on agrees.

Every run makes claims: in this scope, this field has this value. Runs that share a scope must claim the same.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.runs import StoredResult

VALUE_CHARACTERS = 12
SHOWN = 3
ADVICE = (
    "choose methods with --methods, delete the runs that should not count in MLflow, or run the comparison again "
    "so that all are alike"
)

Fields = tuple[tuple[str, str], ...]
Claims = Mapping[tuple[Any, ...], Fields]


class _Kind(NamedTuple):
    """A kind of scope. `refusal` begins the sentence of a mix, `claims` says what a run claims in which scopes."""

    refusal: str
    claims: Callable[[StoredResult], Claims]


def unmixed(results: Iterable[StoredResult]) -> tuple[list[StoredResult], list[dict[str, str]]]:
    """The results that may stand together, in the order given, and notes ("protocol", "text") on those left out.

    Averages over seeds and datasets must agree in precision and in the versions of training and image transform; over
    seeds also in configuration and recipe. Every run under a protocol must agree in the backbone's digest, runs scored
    on one target in the target's digest, runs trained on one few-shot draw in the draw's. Datasets divided here (own
    splits) are told apart.

    Where runs disagree, those that agree with the newest stay if they cover all that the others scored, and the others
    are left out. Otherwise raises UserError naming the runs, the fields and their values. A method's source may differ,
    as it does after any edit of its file; a note says so.
    """
    kept, notes = list(results), list[dict[str, str]]()
    for kind in _KINDS:
        kept, said = _settled(kept, kind)
        notes += said
    return kept, notes + _code_notes(kept)


def _settled(results: list[StoredResult], kind: _Kind) -> tuple[list[StoredResult], list[dict[str, str]]]:
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


def _picked(result: StoredResult, *names: str) -> Fields:
    return tuple((name, result.settings[name]) for name in names if name in result.settings)


def _age(result: StoredResult) -> tuple[Any, str]:
    return (result.finished_at, result.run_id)


def _cells(results: Iterable[StoredResult]) -> set[tuple[Any, ...]]:
    """All that the runs scored, or found that they cannot score."""
    return {
        (result.label, result.dataset, result.shots, result.seed, target)
        for result in results
        for target in (*(score.target for score in result.scores), *result.unscored)
    }


def _where(groups: Mapping[Fields, Sequence[StoredResult]]) -> str:
    runs = [run for group in groups.values() for run in group]
    labels = list(dict.fromkeys(run.label for run in runs))
    datasets = list(dict.fromkeys(run.dataset for run in runs))
    return f"{_listed(labels)} on {_listed(datasets)} ({runs[0].protocol})"


def _differences(groups: Mapping[Fields, Sequence[StoredResult]]) -> str:
    """Each differing field with its values, oldest first, and the runs that have them."""
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
    return _listed([f"{run.label} {run.dataset}{_seed(run)} (run {run.run_id[:8]})" for run in ordered])


def _seed(run: StoredResult) -> str:
    return "" if run.seed is None else f" seed {run.seed}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _shown(value: str | None) -> str:
    if value is None:
        return "not recorded"
    return value if len(value) <= VALUE_CHARACTERS else f"{value[:VALUE_CHARACTERS]}…"
