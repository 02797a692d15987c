"""Which rows of the tidy frame count for a protocol: the same rule for leaderboards, statistics and plots."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.core.protocol_table import Protocol, protocol_info
from promptarena.benchmark.core.runs import Cost
from promptarena.benchmark.leaderboard.frame import name_of

if TYPE_CHECKING:
    import pandas as pd

Titled = Sequence[tuple[str, str]]
"""(card name, title) of datasets, in table order."""

_COSTS = tuple(item.name for item in fields(Cost))
_NAME = ["method", "overrides", "reading", "shots"]
"""What `Label` is made from."""
_PLACE = ["label", "shots", "seed", "target_dataset", "target_subset"]
"""What identifies a score within a protocol: each may occur once."""


@dataclass(frozen=True)
class ProtocolRows:
    """The rows of a protocol.

    Args:
        frame: Rows of the tidy frame. `label` is as tables show it, with the number of shots if `marked`; the
            additional column `plain_label` is the label without it.
        missing: The targets that runs could not score, as in `attrs["holes"]` of the tidy frame.
        taught: The numbers of training images per class that occur, ascending.
        own_splits: The datasets that have only results on a split that the harness made itself.
        notes: Lines on what was left out.
        marked: Whether labels contain the number of shots: outside the few-shot protocol, if several numbers occur.
    """

    frame: "pd.DataFrame"
    missing: tuple[Mapping[str, Any], ...]
    taught: tuple[int, ...]
    own_splits: tuple[str, ...]
    notes: tuple[str, ...]
    marked: bool

    def names(self, methods: Sequence[Label]) -> list[Label]:
        """What tables name these methods, including methods without results: with the number of shots if `marked`."""
        if not self.marked:
            return list(methods)
        return [replace(method, shots=count) for method in methods for count in self.taught]

    def name(self, row: Mapping[Any, Any]) -> Label:
        """What tables name a row of `frame` or of `missing`."""
        return _name(row, self.marked)

    def only(self, column: str) -> str:
        """The single value of "suite" or "backbone"; empty if there are no rows."""
        return str(self.frame[column].iloc[0]) if len(self.frame) else ""


def protocol_rows(
    frame: "pd.DataFrame", protocol: Protocol, datasets: Titled, shots: Sequence[int] | None = None
) -> ProtocolRows:
    """Select the rows of a protocol.

    If a dataset has results both on its published split and on an own split, those on the own split are left out.

    Args:
        frame: The tidy frame.
        protocol: The protocol's name.
        datasets: The scored datasets. In the transfer protocols the first is the source, and runs trained on another
            source are left out.
        shots: Few-shot only: the numbers of training images per class to select; None: all.

    Returns:
        The rows with their labels and notes.

    Raises:
        UserError: The rows mix suites or backbones; a value is impossible (no images, more correct than total, an
            accuracy outside 0 to 1, a cost that is negative or not finite); or one score occurs twice.
    """
    import pandas as pd

    names = [name for name, _ in datasets]
    info = protocol_info(protocol)
    # A new frame without `attrs`: pandas would deep-copy them at every selection, which is slow with many holes.
    ours = pd.DataFrame(frame)
    ours = ours[(ours["protocol"] == protocol) & (ours["metric"] == "accuracy")]
    ours = ours[ours["target_dataset"].isin(names)]
    missing = [
        hole
        for hole in frame.attrs.get("holes", [])
        if hole["protocol"] == protocol and hole["target_dataset"] in names
    ]
    if info.is_transfer:
        ours = ours[ours["dataset"].isin(names[:1])]
        missing = [hole for hole in missing if hole["dataset"] in names[:1]]
    if info.by_shots and shots is not None:
        ours = ours[ours["shots"].isin(list(shots))]
        missing = [hole for hole in missing if hole["shots"] in shots]
    ours, own_splits, notes = _without_rival_splits(ours, datasets)
    _check(ours)
    ours = ours.assign(plain_label=ours["label"])
    taught = tuple(sorted({int(count) for count in ours["shots"]}))
    marked = len(taught) > 1 and not info.by_shots
    if marked:
        ours = ours.assign(label=[str(_name(row, marked)) for row in ours[_NAME].to_dict("records")])
        missing = [hole | {"label": str(_name(hole, marked))} for hole in missing]
    return ProtocolRows(ours, tuple(missing), taught, own_splits, tuple(notes), marked)


def _name(row: Mapping[Any, Any], marked: bool) -> Label:
    return name_of(row, int(row["shots"]) if marked else None)


def _without_rival_splits(ours: "pd.DataFrame", datasets: Titled) -> "tuple[pd.DataFrame, tuple[str, ...], list[str]]":
    """The rows that are kept, the datasets that have own splits only, and notes."""
    own = set(ours.loc[ours["own_split"], "target_dataset"])
    mixed = own & set(ours.loc[~ours["own_split"], "target_dataset"])
    notes = [
        f"{title}: runs on an own split are left out beside those on the published one"
        for name, title in datasets
        if name in mixed
    ]
    if titles := [title for name, title in datasets if name in own - mixed]:
        notes.append(
            f"Own split, divided here: {', '.join(titles)}; figures with it, averages included, cannot be compared "
            "with published ones"
        )
    return ours[~(ours["own_split"] & ours["target_dataset"].isin(mixed))], tuple(sorted(own - mixed)), notes


def _check(ours: "pd.DataFrame") -> None:
    """Raise UserError for mixed suites or backbones, impossible values, and scores that occur twice."""
    for column in ("suite", "backbone"):
        values = sorted(map(str, ours[column].unique()))
        if len(values) > 1:
            raise UserError(f"several values of {column} cannot be compared: {', '.join(values)}; select one of them")
    correct, total = ours["correct"], ours["total"]
    faults = {
        "accuracy {value}": ours["value"].between(0, 1),
        "{correct} of {total} right": (total > 0) & (correct >= 0) & (correct <= total),
        **{f"{name} {{{name}}}": ours[name].between(0, float("inf"), inclusive="left") for name in _COSTS},
    }
    for fault, sound in faults.items():
        if not sound.all():
            row = ours[~sound].iloc[0].to_dict()
            raise UserError(
                f"{_where(row)} has {fault.format_map(row)}; delete run {row['run_id']} in MLflow to have it run "
                "again, or leave it out"
            )
    twice = ours.duplicated(_PLACE)
    if twice.any():
        row = ours[twice].iloc[0].to_dict()
        raise UserError(
            f"{_where(row)} is scored by several runs of one seed, {row['run_id']} among them; delete all but one of "
            "them in MLflow"
        )


def _where(row: Mapping[Any, Any]) -> str:
    return f"{row['label']} on {row['target_dataset']}/{row['target_subset']} ({row['protocol']})"
