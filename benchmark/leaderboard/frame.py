"""The tidy frame: one row per run, target and metric. All tables are made from it, and nothing in it is rounded."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, get_type_hints

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.labels import Label, visible
from promptarena.benchmark.core.runs import Cost, StoredResult
from promptarena.benchmark.leaderboard.comparable import unmixed

if TYPE_CHECKING:
    import pandas as pd

DTYPES = {
    "suite": "str",
    "protocol": "str",
    "method": "str",
    "overrides": "str",
    "reading": "str",
    "label": "str",
    "dataset": "str",
    "shots": "int64",
    "seed": "Int64",
    "target_dataset": "str",
    "target_subset": "str",
    "metric": "str",
    "correct": "int64",
    "total": "int64",
    "value": "float64",
    **{name: "int64" if kind is int else "float64" for name, kind in get_type_hints(Cost).items()},
    "backbone": "str",
    "miniature": "bool",
    "own_split": "bool",
    "run_key": "str",
    "run_id": "str",
    "finished_at": "datetime64[us, UTC]",
    "duplicates": "int64",
}
"""The columns of the tidy frame and their pandas types. `value` is an accuracy from 0 to 1; times are in seconds.
`label` is the printed `Label`, whose parts are method, overrides (as JSON) and reading.
"""
# With the target, these say what was measured. Of runs that agree in all of it, only the newest is kept.
CELL = ("suite", "backbone", "protocol", "label", "dataset", "shots", "seed", "own_split")


class _Attribute(list[dict[str, Any]]):
    """A list that pandas does not copy for each column and row that is taken out of the frame, which it does deeply."""

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Attribute":
        return self


def tidy(results: Iterable[StoredResult]) -> "pd.DataFrame":
    """Put results into the tidy frame.

    A method may have further readings: other ways to classify with the same trained learner. They have rows of
    their own. Runs that must not be mixed are left out or refused (see `unmixed`). If several runs scored the
    same label, protocol, dataset, shots, seed and target, only the newest is kept.

    Args:
        results: Recorded results, of any protocols.

    Returns:
        One row per run, target and metric, with the columns and types of `DTYPES`. `value` is the accuracy (0 to 1),
        `own_split` whether training or scoring used a dataset that the harness split itself. `attrs["notes"]` lists
        what was left out: dicts with "protocol" and a line of "text". `attrs["holes"]` lists targets that runs could
        not score: dicts with "protocol", "method", "overrides", "reading", "label", "shots",
        "dataset", "target_dataset", "target_subset" and "reason".

    Raises:
        UserError: A value is missing, infinite, or an accuracy over no images (it names the run), or `unmixed` refuses.
    """
    import pandas as pd

    comparable, mixing_notes = unmixed(results)
    # Later runs overwrite earlier ones below. The run's id decides between equal times, so the same run is kept
    # everywhere.
    oldest_first = sorted(comparable, key=lambda result: (result.finished_at, result.run_id))
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    missing = _Attribute()
    rivals: dict[tuple[str, str], set[str]] = {}
    for result in oldest_first:
        for row in _rows(result):
            cell = (*(row[name] for name in CELL), row["target_dataset"], row["target_subset"])
            if cell in rows:
                rival = (result.protocol, _where(result))
                rivals.setdefault(rival, set()).update((rows[cell]["run_id"], result.run_id))
            rows[cell] = row
        missing.extend(_missing_targets(result))
    frame = pd.DataFrame(list(rows.values()), columns=list(DTYPES)).astype(DTYPES)
    kept = set(frame["run_id"])
    notes = [
        *mixing_notes,
        *(
            {"protocol": protocol, "text": f"{where}: {len(runs)} runs of different settings or code; newest shown"}
            for (protocol, where), runs in rivals.items()
        ),
        *(
            {"protocol": run.protocol, "text": f"{_where(run)}: finished {run.duplicates + 1} times; newest shown"}
            for run in oldest_first
            if run.duplicates and run.run_id in kept
        ),
        *_fewer_shots(run for run in oldest_first if run.run_id in kept),
    ]
    frame.attrs |= {"notes": _Attribute(notes), "holes": missing}
    return frame


def name_columns(name: Label) -> dict[str, str]:
    """The columns of the frame, and the entries of "holes", that say which method a row is of."""
    overrides = json.dumps(name.overrides, ensure_ascii=False)
    return {"method": name.method, "overrides": overrides, "reading": name.reading, "label": str(name)}


def _fewer_shots(results: Iterable[StoredResult]) -> list[dict[str, str]]:
    """A note for each dataset and number of shots where a class had fewer training images."""
    fewest: dict[tuple[str, str, int], int] = {}
    for result in results:
        recorded = result.settings.get("provenance.fewest_images_per_class", "")
        if recorded.isdecimal():
            place = (result.protocol, result.dataset, result.shots)
            fewest[place] = min(int(recorded), fewest.get(place, int(recorded)))
    text = "{}: not {} training images in each class; the smallest has {}"
    return [
        {"protocol": protocol, "text": text.format(dataset, shots, count)}
        for (protocol, dataset, shots), count in sorted(fewest.items())
    ]


def name_of(row: Mapping[Any, Any], shots: int | None = None) -> Label:
    """What `name_columns` wrote, with a number of shots."""
    # A frame that was written as CSV has NaN in place of an empty text.
    reading = row["reading"] if isinstance(row["reading"], str) else ""
    return Label(row["method"], _overrides(row["overrides"]), reading, shots)


@cache
def _overrides(text: str) -> tuple[tuple[str, Any], ...]:
    return tuple((name, value) for name, value in json.loads(text))


def _rows(result: StoredResult) -> list[dict[str, Any]]:
    shared = {name: getattr(result, name) for name in DTYPES if hasattr(result, name)}
    shared |= {name: getattr(result.cost, name) for name in DTYPES if hasattr(result.cost, name)}
    for name, value in shared.items():
        if name != "seed" and (value is None or (isinstance(value, float) and not math.isfinite(value))):
            raise _refusal(result, f"{name} = {value}")
    rows = []
    for score in result.scores:
        right, seen = score.correct, score.total
        if seen <= 0 or not 0 <= right <= seen:
            raise _refusal(result, f"{right} of {seen} right on {score.target.dataset}/{score.target.subset}")
        measured = {"target_dataset": score.target.dataset, "target_subset": score.target.subset, "metric": "accuracy"}
        measured |= name_columns(replace(result.name, reading=score.reading))
        own_split = not {result.dataset, score.target.dataset}.isdisjoint(result.own_splits)
        counted = {"correct": right, "total": seen, "value": right / seen, "own_split": own_split}
        rows.append(shared | measured | counted)
    return rows


def _missing_targets(result: StoredResult) -> list[dict[str, Any]]:
    place = {name: getattr(result, name) for name in ("protocol", "shots", "dataset")} | name_columns(result.name)
    return [
        place | {"target_dataset": target.dataset, "target_subset": target.subset, "reason": visible(reason)}
        for scored, reason in result.unscored.items()
        for target in scored.parts
    ]


def _refusal(result: StoredResult, fault: str) -> UserError:
    return UserError(
        f"{_where(result)} has {fault}; delete run {result.run_id} in MLflow to have it run again, or leave it out"
    )


def _where(result: StoredResult) -> str:
    seed = "" if result.seed is None else f", seed {result.seed}"
    return f"{result.label} on {result.dataset} ({result.protocol}, {result.shots} shots{seed})"
