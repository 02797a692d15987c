"""Own splits are marked and never mixed with published ones."""

import pytest
from board_results import DATASETS, cell, results_of, sides

from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.leaderboard.frame import tidy


def test_an_own_split_is_marked_wherever_it_is_shown() -> None:
    runs = [("coop", name, 1, sides(name, 500, 400)) for name, _ in DATASETS]
    board = BoardQuery(tidy(results_of(runs, own_splits=("dtd",))), "base-to-novel", DATASETS).board
    assert [table.title for table in board.tables][1:4] == ["ImageNet", "DTD (own split)", "EuroSAT"]
    assert board.own_splits == ("dtd",)
    assert any(note.startswith("Own split, divided here: DTD;") for note in board.notes)


def test_an_own_split_never_enters_beside_the_published_one() -> None:
    published = results_of([("coop", "dtd", 1, sides("dtd", 500, 400))])
    newer = results_of([("coop", "dtd", 1, sides("dtd", 900, 900))], own_splits=("dtd",), run_id="own", run_key="own")
    board = BoardQuery(tidy([*published, *newer]), "base-to-novel", DATASETS[1:2]).board
    assert cell(board, "dtd", "coop", "base_pct").value == pytest.approx(50.0)
    assert board.own_splits == ()
    assert board.notes == ("DTD: runs on an own split are left out beside those on the published one",)


def test_a_source_split_here_marks_all_its_targets() -> None:
    scores = {(name, "all"): (5, 10) for name, _ in DATASETS}
    frame = tidy(results_of([("coop", "imagenet", 1, scores)], "cross-dataset", own_splits=("imagenet",)))
    assert BoardQuery(frame, "cross-dataset", DATASETS).board.own_splits == ("dtd", "eurosat", "imagenet")
