"""From predictions to boards: a figure is the mean over seeds, as in the leaderboards."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from promptarena.benchmark.analysis.beside import FAR, TEMPERATURE, BesideSubject
from promptarena.benchmark.analysis.calibration import CALIBRATION
from promptarena.benchmark.analysis.confusions import confusions_board
from promptarena.benchmark.analysis.names import BOARDS, CONFUSIONS, PAIRED, SEEDS
from promptarena.benchmark.analysis.novelty import NOVELTY
from promptarena.benchmark.analysis.paired import paired_board
from promptarena.benchmark.analysis.per_class import PER_CLASS
from promptarena.benchmark.analysis.seeds import seeds_board
from promptarena.benchmark.analysis.selective import SELECTIVE
from promptarena.benchmark.analysis.subjects import GROUPS, Answered, Subject, Values, counted
from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.core.predictions import Predictions
from promptarena.benchmark.core.protocol_table import protocol_info
from promptarena.benchmark.core.runs import Target
from promptarena.benchmark.leaderboard.aggregate import Aggregate, Seed, average
from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.leaderboard.model import Board, Cell, Column, Row, Table

Source = Callable[[str, Target], Sequence[Predictions]]
"""From a run's id and a target to the predictions of each reading; empty where none are kept."""

SUBJECTS: Mapping[str, Subject | BesideSubject] = {
    subject.name: subject for subject in (CALIBRATION, TEMPERATURE, PER_CLASS, SELECTIVE, NOVELTY, FAR)
}
OF_SEVERAL: Mapping[str, Callable[[Answered, str], Board | None]] = {
    PAIRED: paired_board,
    CONFUSIONS: confusions_board,
    SEEDS: seeds_board,
}
"""The boards whose figures are of several runs; the text is the reference that methods are compared with."""


def boards_from(answered: Answered, names: Sequence[str], reference: str = "") -> tuple[Board, ...]:
    """Make boards from the predictions of the runs of a leaderboard.

    Args:
        answered: The predictions.
        names: The requested boards.
        reference: The label of the method that others are paired with; empty: the first one of the leaderboard.

    Returns:
        The boards that have something to show.
    """
    made = []
    for name in BOARDS:
        if name in names and answered.by_place:
            board = OF_SEVERAL[name](answered, reference) if name in OF_SEVERAL else _board(SUBJECTS[name], answered)
            made += [board] if board else []
    return tuple(made)


def answered_of(query: BoardQuery, source: Source, only: tuple[str, str] | None = None) -> Answered:
    """Read the predictions behind a leaderboard.

    Args:
        query: The leaderboard. Few-shot is shown at the largest of its numbers of shots that was scored.
        source: Gives the predictions.
        only: A dataset and the label of a method, where no others are needed.

    Returns:
        The predictions, 80 bytes for each image and run and the names of each target's images once.

    Raises:
        UserError: Predictions cannot be read, or as `query.board` does.
    """
    info, frame, board = protocol_info(query.protocol), query.rows.frame, query.board
    shots = int(frame["shots"].max()) if info.by_shots and len(frame) else None
    if shots is not None:
        frame = frame[frame["shots"] == shots]
    if only is not None:
        frame = frame[(frame["target_dataset"] == only[0]) & (frame["label"] == only[1])]
    read: dict[tuple[str, Target], Sequence[Predictions]] = {}
    images: dict[Target, npt.NDArray[np.str_]] = {}
    found: dict[tuple[str, str], dict[Label, dict[Seed, Predictions]]] = {}
    beside: dict[tuple[str, str], dict[Label, dict[Seed, Predictions]]] = {}
    lacking: dict[str, Label] = {}
    for row in frame[frame["target_subset"].isin(list(GROUPS))].to_dict("records"):
        run_id, name, seed = row["run_id"], query.rows.name(row), _seed(row["seed"])
        own = Target(row["target_dataset"], row["target_subset"])
        for target in (own, own.tempered, Target(own.dataset, "far")):
            if (run_id, target) not in read:
                read[run_id, target] = [_with_shared(images, each) for each in source(run_id, target)]
            for each in read[run_id, target]:
                if each.reading == name.reading:
                    kept = found if target == own else beside
                    kept.setdefault((target.dataset, target.subset), {}).setdefault(name, {})[seed] = each
        if not any(each.reading == name.reading for each in read[run_id, own]):
            lacking[run_id] = replace(name, reading="")
    datasets = query.datasets
    places = [(name, subset) for name, _ in datasets for subset in GROUPS if (name, subset) in found]
    notes = [f"{counted(lacking.values())} no predictions."] if lacking else []
    rows = [row.name for row in board.tables[0].rows]
    return Answered(
        board=board,
        datasets=tuple(datasets[1:] if info.is_transfer else datasets),
        by_place={place: found[place] for place in places},
        beside=beside,
        names=tuple(rows),
        shots=shots,
        notes=tuple(notes),
    )


def _with_shared(images: dict[Target, npt.NDArray[np.str_]], found: Predictions) -> Predictions:
    """The same predictions; the names of the images, most of their bytes, are one array for all runs of a target."""
    known = images.setdefault(found.target, found.images)
    return replace(found, images=known) if np.array_equal(known, found.images) else found


def _seed(value: Any) -> Seed:
    import pandas as pd

    return None if pd.isna(value) else int(value)


@dataclass(frozen=True)
class _Figures:
    """The figures of a subject: by dataset and subset, method, and seed, one for each column; `lacking` says why a
    method may have none."""

    values: Values
    seeds: Sequence[int]
    lacking: str = ""

    def figure(self, place: tuple[str, str], name: Label, column: int) -> Aggregate:
        by_seed = self.values.get(place, {}).get(name, {})
        expected = frozenset({None}) if set(by_seed) == {None} or not self.seeds else frozenset[Seed](self.seeds)
        found = {seed: each[column] for seed, each in by_seed.items() if seed in expected}
        defined = {seed: value for seed, value in found.items() if value is not None}
        reason = ("not defined here" if found else self.lacking) if not defined else ""
        return Aggregate(defined, expected, reason=reason or None)


def _board(subject: Subject | BesideSubject, answered: Answered) -> Board | None:
    values = subject.values(answered)
    if not values:
        return None
    lacking = f"keeps {subject.lacking}" if isinstance(subject, BesideSubject) else ""
    board, figures = answered.board, _Figures(values, answered.board.seeds, lacking)
    subsets = [subset for subset in GROUPS if any(place[1] == subset for place in values)]
    columns = tuple(
        replace(column, key=f"{subset}_{column.key}" if GROUPS[subset] else column.key, group=_grouped(subset, column))
        for subset in subsets
        for column in subject.columns
    )

    def cells(name: Label, dataset: str) -> list[Aggregate]:
        return [
            figures.figure((dataset, subset), name, place)
            for subset in subsets
            for place in range(len(subject.columns))
        ]

    def averages(name: Label) -> list[Aggregate]:
        every = [cells(name, dataset) for dataset, _ in answered.datasets]
        return [average(column) for column in zip(*every, strict=True)]

    count = len(answered.datasets)
    tables = [_table("average", f"Average over {count} dataset{'s' * (count > 1)}", columns, answered.names, averages)]
    for dataset, title in answered.datasets:
        table = _table(dataset, title, columns, answered.names, partial(cells, dataset=dataset))
        tables.append(replace(table, dataset=dataset))
    return replace(
        board,
        title=f"{board.title}: {subject.title}",
        caption=f"{subject.caption} {answered.basis()}",
        tables=tuple(tables),
        notes=(*answered.notes, *subject.notes(answered)),
        part=subject.name,
    )


def _grouped(subset: str, column: Column) -> str:
    """What stands above a column."""
    return ": ".join(filter(None, (GROUPS[subset], column.group)))


def _table(
    key: str,
    title: str,
    columns: tuple[Column, ...],
    names: Sequence[Label],
    figures: Callable[[Label], Sequence[Aggregate]],
) -> Table:
    rows = tuple(Row(name, tuple(figure.cell() for figure in figures(name))) for name in names)
    return Table(key, title, columns, tuple(row for row in rows if any(_there(cell) for cell in row.cells)))


def _there(cell: Cell) -> bool:
    return cell.value is not None or cell.filled > 0
