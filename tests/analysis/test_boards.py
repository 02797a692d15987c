"""From predictions to boards: means over seeds and datasets, and what is missing."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean, stdev

import numpy as np
import pytest
from analysed import boards_of
from drawn_predictions import drawn
from score_frames import frame_of

from promptarena.benchmark.analysis.boards import SUBJECTS, answered_of
from promptarena.benchmark.analysis.names import BOARDS
from promptarena.benchmark.analysis.subjects import Answered
from promptarena.benchmark.core.predictions import Predictions
from promptarena.benchmark.core.runs import Target
from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.leaderboard.formats.registry import format_names
from promptarena.benchmark.leaderboard.formats.render import render

DATASETS = [("birds", "Birds"), ("cars", "Cars")]
SEEDS = (1, 2, 3)
ROWS = [
    (label, dataset, seed, {"base": 70.0 + seed, "novel": 60.0 + seed})
    for label in ("coop", "maple")
    for dataset, _ in DATASETS
    for seed in SEEDS
]


@pytest.fixture(scope="module")
def query() -> BoardQuery:
    return BoardQuery(frame_of(ROWS, "base-to-novel"), "base-to-novel", DATASETS)


# Of further predictions there are none here; see `test_beside.py`.
def source_of(query: BoardQuery, *, without: str = "") -> "object":
    """Gives predictions that are drawn for the run; none for the runs of one method."""
    runs = {row["run_id"]: row for row in query.frame.to_dict("records")}

    def source(run_id: str, target: Target) -> Sequence[Predictions]:
        row = runs[run_id]
        if row["label"] == without or target.scored_as != target:
            return ()
        skill = 2.0 if row["label"] == "coop" else 3.0
        return [drawn(60, 6, seed=int(row["seed"]), skill=skill, dataset=target.dataset, subset=target.subset)]

    return source


def test_figures_are_means_over_seeds_and_datasets(query: BoardQuery) -> None:
    (board,) = boards_of(query, source_of(query), ["calibration"])  # type: ignore[arg-type]
    assert (board.part, board.protocol, board.seeds) == ("calibration", "base-to-novel", SEEDS)
    assert [table.key for table in board.tables] == ["average", "birds", "cars"]
    measure = SUBJECTS["calibration"].measure
    for dataset in ("birds", "cars"):
        (table,) = [table for table in board.tables if table.key == dataset]
        for row in table.rows:
            skill = 2.0 if row.label == "coop" else 3.0
            each = [measure(drawn(60, 6, seed=seed, skill=skill)) for seed in SEEDS]
            for place, values in enumerate(zip(*each, strict=True)):
                cell = row.cells[place]
                assert cell.value == pytest.approx(fmean(values), abs=1e-9)  # type: ignore[type-var]
                assert cell.std == pytest.approx(stdev(values), abs=1e-9)  # type: ignore[type-var]
                assert cell.full
    first = board.tables[0]
    for place in range(len(first.columns)):
        for row in range(2):
            halves = [table.rows[row].cells[place].value for table in board.tables[1:]]
            assert first.rows[row].cells[place].value == pytest.approx(fmean(halves), abs=1e-9)  # type: ignore[type-var]


def test_columns_of_both_halves_have_names_of_their_own(query: BoardQuery) -> None:
    for board in boards_of(query, source_of(query), BOARDS):  # type: ignore[arg-type]
        for table in board.tables:
            keys = [column.key for column in table.columns]
            assert len(set(keys)) == len(keys)
            assert {key.split("_")[0] for key in keys} == {"base", "novel"}


def test_every_board_is_written_in_every_format(query: BoardQuery) -> None:
    boards = boards_of(query, source_of(query), BOARDS)  # type: ignore[arg-type]
    assert [board.part for board in boards] == [
        "calibration",
        "per-class",
        "selective",
        "paired",
        "confusions",
        "seeds",
    ]
    for board in boards:
        for name in format_names():
            assert render(board, name).strip()


def test_runs_without_predictions_are_counted(query: BoardQuery) -> None:
    (board,) = boards_of(query, source_of(query, without="maple"), ["calibration"])  # type: ignore[arg-type]
    assert [row.label for row in board.tables[0].rows] == ["coop"]
    assert board.notes == ("6 runs of maple keep no predictions.",)


def test_without_any_predictions_there_is_no_board(query: BoardQuery) -> None:
    assert boards_of(query, lambda _run, _target: (), BOARDS) == ()


def _runs(answered: Answered) -> list[Predictions]:
    by_names = answered.by_place.values()
    return [found for by_name in by_names for by_seed in by_name.values() for found in by_seed.values()]


def test_an_image_of_a_run_takes_80_bytes_and_its_name_is_kept_once(query: BoardQuery) -> None:
    answered = answered_of(query, source_of(query))  # type: ignore[arg-type]
    runs = _runs(answered)
    arrays = {
        id(array): array
        for run in runs
        for part in (vars(run), vars(run.halves) if run.halves else {})
        for array in part.values()
        if isinstance(array, np.ndarray)
    }
    names = {run.target: run.images.nbytes for run in runs}
    assert len(runs) == len(names) * len(SEEDS) * 2
    of_runs = sum(array.nbytes for array in arrays.values()) - sum(names.values())
    assert of_runs <= 80 * sum(map(len, runs))


def test_other_images_of_a_run_are_kept_as_they_are(query: BoardQuery) -> None:
    source = source_of(query)

    def shifted(run_id: str, target: Target) -> Sequence[Predictions]:
        found = source(run_id, target)  # type: ignore[operator]
        return [replace(each, images=each.images[::-1]) if run_id.endswith("1") else each for each in found]

    kept = {tuple(each.images) for each in _runs(answered_of(query, shifted))}
    original = {tuple(each.images) for each in _runs(answered_of(query, source))}  # type: ignore[arg-type]
    assert original < kept
