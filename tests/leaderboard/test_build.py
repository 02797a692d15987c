"""The leaderboard against plain recomputation, published averages, and the rules for holes, ties and spreads."""

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from board_results import DATASETS, cell, results_of, sides
from hypothesis import given
from hypothesis import strategies as st

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.core.runs import Target
from promptarena.benchmark.leaderboard.build import BoardQuery, leaderboard
from promptarena.benchmark.leaderboard.frame import tidy


def test_order_of_rows_changes_nothing() -> None:
    runs = results_of(
        (label, name, seed, sides(name, 500 + 10 * seed + place, 400 + place))
        for place, (name, _) in enumerate(DATASETS)
        for label in ("coop", "maple")
        for seed in (1, 2, 3)
    )
    frame = tidy(runs)
    board = BoardQuery(frame, "base-to-novel", DATASETS).board
    for seed in range(3):
        assert BoardQuery(frame.sample(frac=1, random_state=seed), "base-to-novel", DATASETS).board == board


def test_tables_follow_the_order_of_the_suite_average_first_and_cost_last() -> None:
    board = BoardQuery(tidy([]), "base-to-novel", DATASETS, labels=[Label("coop")]).board
    assert [table.key for table in board.tables] == ["average", "imagenet", "dtd", "eurosat", "cost"]
    assert [table.title for table in board.tables][:2] == ["Average over 3 datasets", "ImageNet"]


def test_a_hole_stays_a_hole() -> None:
    complete = [
        (label, name, seed, sides(name, 500, 400))
        for label in ("coop", "maple")
        for name, _ in DATASETS
        for seed in (1, 2, 3)
    ]
    frame = tidy(results_of(run for run in complete if run[:3] != ("coop", "dtd", 2)))
    board = BoardQuery(frame, "base-to-novel", DATASETS).board
    partial = cell(board, "dtd", "coop", "base_pct")
    assert (partial.value, partial.n, partial.filled, partial.expected, partial.full) == (50.0, 2, 2, 3, False)
    assert partial.mark is None
    for column in ("base_pct", "novel_pct", "hm_pct", "mean_of_hms_pct"):
        hole = cell(board, "average", "coop", column)
        assert (hole.value, hole.filled, hole.expected, hole.parts) == (None, 2, 3, "datasets")
    assert cell(board, "average", "maple", "base_pct").full
    assert board.notes == ("coop: 2 of 6 figures incomplete (DTD base, DTD novel): runs are missing",)
    assert set(board.headline()) == {Label("maple")}


def test_a_hole_may_say_why() -> None:
    reason = "a linear head has no novel classes"
    runs = [(name, {Target(name, "novel"): reason}) for name, _ in DATASETS]
    results = [
        result
        for name, unscored in runs
        for result in results_of([("linear-probe", name, 1, {(name, "base"): (5, 10)})], run_id=name, unscored=unscored)
    ]
    board = BoardQuery(tidy(results), "base-to-novel", DATASETS).board
    assert cell(board, "average", "linear-probe", "base_pct").value == 50.0
    for column in ("novel_pct", "hm_pct"):
        assert cell(board, "average", "linear-probe", column).reason == reason
    (note,) = board.notes
    assert note == f"linear-probe: 3 of 6 figures incomplete (ImageNet novel, DTD novel, EuroSAT novel): {reason}"
    assert board.headline() == {Label("linear-probe"): {"Base base-to-novel": 50.0}}


def test_the_headline_metric_comes_first_among_the_headline_figures() -> None:
    results = results_of(("coop", name, 1, sides(name, 500, 400)) for name, _ in DATASETS)
    (figures,) = BoardQuery(tidy(results), "base-to-novel", DATASETS).board.headline().values()
    assert list(figures) == ["HM base-to-novel", "Base base-to-novel", "Novel base-to-novel"]


def test_a_method_without_results_is_a_row_of_holes() -> None:
    frame = tidy(results_of(("coop", name, 1, sides(name, 500, 400)) for name, _ in DATASETS))
    board = BoardQuery(frame, "base-to-novel", DATASETS, labels=[Label("maple"), Label("coop")]).board
    assert [row.label for row in board.tables[0].rows] == ["coop", "maple"]
    assert cell(board, "average", "maple", "base_pct").value is None
    assert "maple: 6 of 6 figures incomplete" in board.notes[0]


def test_seeds_asked_for_are_wanted_and_others_left_aside() -> None:
    frame = tidy(
        results_of(("coop", name, seed, sides(name, 100 * seed, 400)) for name, _ in DATASETS for seed in (1, 2))
    )
    only_first = BoardQuery(frame, "base-to-novel", DATASETS, seeds=[1]).board
    assert cell(only_first, "average", "coop", "base_pct").value == 10.0
    three = BoardQuery(frame, "base-to-novel", DATASETS, seeds=[1, 2, 3]).board
    assert cell(three, "dtd", "coop", "base_pct").filled == 2


@pytest.mark.parametrize(
    ("right", "marks"),
    [
        ([900, 800, 700], ["best", "second", None]),
        ([900, 900, 700], ["best", "best", "second"]),
        ([900, 800, 800], ["best", "second", "second"]),
        ([900, 900, 900], ["best", "best", "best"]),
        ([900], [None]),
    ],
)
def test_marks_share_ties(right: list[int], marks: list[str | None]) -> None:
    frame = tidy(results_of((f"m{place}", "dtd", 1, sides("dtd", count, 500)) for place, count in enumerate(right)))
    board = BoardQuery(frame, "base-to-novel", [("dtd", "DTD")]).board
    assert [cell(board, "dtd", f"m{place}", "base_pct").mark for place in range(len(right))] == marks


def test_equal_to_two_decimals_is_a_tie() -> None:
    frame = tidy(
        results_of((label, "dtd", 1, sides("dtd", count, 1, 10**6)) for label, count in (("a", 500010), ("b", 500014)))
    )
    board = BoardQuery(frame, "base-to-novel", [("dtd", "DTD")]).board
    assert [cell(board, "dtd", label, "base_pct").mark for label in "ab"] == ["best", "best"]


@given(data=st.data())
def test_the_reference_comes_first_then_the_best_and_incomplete_rows_last(data: st.DataObject) -> None:
    scores = data.draw(
        st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(st.integers(0, 9), st.booleans()), min_size=2)
    )
    reference = data.draw(st.sampled_from([*scores, "absent"]))
    results = results_of(
        (label, "dtd", 1, sides("dtd", right, right) if whole else {("dtd", "base"): (1, 1)})
        for label, (right, whole) in scores.items()
    )
    board = BoardQuery(tidy(results), "base-to-novel", [("dtd", "DTD")], reference=reference).board
    for table in board.tables:
        rows = [row.label for row in table.rows]
        assert sorted(rows) == sorted(scores)
        others = rows[1:] if reference in scores else rows
        assert reference not in others
        whole = [label for label in others if scores[label][1]]
        assert others[: len(whole)] == whole
        assert [scores[label][0] for label in whole] == sorted((scores[label][0] for label in whole), reverse=True)


def test_zero_shot_comes_first_and_other_datasets_are_named() -> None:
    results = results_of(
        (label, "dtd", 1, sides("dtd", right, right)) for label, right in (("coop", 9), ("zeroshot", 1))
    )
    titles = ["One", "Two", "Three", "Four", "Five"]
    for count, line in (
        (1, "One"),
        (2, "One and Two"),
        (4, "One, Two, Three and Four"),
        (5, "One, Two, Three and 2 more"),
    ):
        board = BoardQuery(tidy(results), "base-to-novel", [("dtd", "DTD")], beyond=titles[:count]).board
        assert [row.label for row in board.tables[0].rows] == ["zeroshot", "coop"]
        assert board.notes[0] == f"The suite also has {line}, without runs here."


@pytest.mark.parametrize("protocol", ["cross-dataset", "domain-generalization"])
def test_transfer_averages_leave_the_source_out(protocol: Any) -> None:
    scores = {(name, "all"): (right, 100) for (name, _), right in zip(DATASETS, (90, 40, 60), strict=True)}
    frame = tidy(results_of([("coop", "imagenet", seed, scores) for seed in (1, 2, 3)], protocol))
    board = BoardQuery(frame, protocol, DATASETS).board
    (table, _) = board.tables
    assert [column.title for column in table.columns] == ["ImageNet", "DTD", "EuroSAT", "Average"]
    assert [column.group for column in table.columns] == ["Source", "Target", "Target", ""]
    assert [shown.value for shown in table.rows[0].cells] == [90.0, 40.0, 60.0, 50.0]
    assert board.headline() == {Label("coop"): {f"Average {protocol}": 50.0}}


def test_few_shot_has_a_column_per_number_of_shots() -> None:
    runs = [
        result
        for shots in (1, 4)
        for result in results_of(
            [("coop", name, 1, {(name, "all"): (shots * 10 + place, 100)}) for place, (name, _) in enumerate(DATASETS)],
            "few-shot",
            shots=shots,
            run_id=f"run{shots}",
        )
    ]
    board = BoardQuery(tidy(runs), "few-shot", DATASETS, shots=(1, 2, 4)).board
    assert [column.title for column in board.tables[0].columns] == ["1 shot", "2 shots", "4 shots"]
    assert [shown.value for shown in board.tables[0].rows[0].cells] == [11.0, None, 41.0]
    assert cell(board, "dtd", "coop", "shots_4_pct").value == 41.0


def test_notes_of_the_frame_stay_with_their_protocol() -> None:
    runs = results_of([("coop", "dtd", 1, sides("dtd", 1, 1))], duplicates=2)
    frame = tidy(runs)
    assert "finished 3 times" in BoardQuery(frame, "base-to-novel", [("dtd", "DTD")]).board.notes[0]
    assert not any("finished" in note for note in BoardQuery(frame, "few-shot", [("dtd", "DTD")]).board.notes)


@pytest.mark.parametrize("column", ["suite", "backbone"])
def test_what_cannot_be_compared_is_not_mixed(column: str) -> None:
    runs = [
        result
        for value in ("a", "b")
        for result in results_of([("coop", "dtd", 1, sides("dtd", 1, 1))], run_id=str(value), **{column: value})
    ]
    with pytest.raises(UserError, match=f"several values of {column} cannot be compared"):
        leaderboard(BoardQuery(tidy(runs), "base-to-novel", [("dtd", "DTD")]))


def test_numbers_of_shots_are_rows_of_their_own_outside_few_shot() -> None:
    runs = [
        result
        for shots, right in ((4, 50), (16, 70))
        for result in results_of([("coop", "dtd", 1, sides("dtd", right, 10, 100))], shots=shots, run_id=f"run{shots}")
    ]
    board = BoardQuery(tidy(runs), "base-to-novel", [("dtd", "DTD")], labels=[Label("coop")]).board
    assert [row.label for row in board.tables[0].rows] == ["coop (16 shots)", "coop (4 shots)"]
    assert cell(board, "dtd", "coop (4 shots)", "base_pct").value == 50.0
    assert "4, 16 training images per class" in board.caption


def test_a_frame_read_back_from_csv_gives_the_same_figures(tmp_path: Any) -> None:
    runs = [("zeroshot", "dtd", None, sides("dtd", 5, 4)), ("coop", "dtd", 1, sides("dtd", 7, 3))]
    frame = tidy(results_of(runs))
    frame.to_csv(tmp_path / "frame.csv", index=False)
    read = pd.read_csv(tmp_path / "frame.csv")
    assert (
        leaderboard(BoardQuery(read, "base-to-novel", [("dtd", "DTD")]))
        == BoardQuery(frame, "base-to-novel", [("dtd", "DTD")]).board
    )


def test_rows_are_ordered_by_the_headline_of_the_largest_number_of_shots_in_any_order_of_columns() -> None:
    percents = {("coop", 1): 900, ("coop", 16): 500, ("maple", 1): 400, ("maple", 16): 600}
    runs = [
        replace(run, shots=shots, run_id=f"{method}{shots}", run_key=f"{method}{shots}")
        for (method, shots), right in percents.items()
        for run in results_of([(method, "dtd", 1, {("dtd", "all"): (right, 1000)})], "few-shot")
    ]
    for shots in ((1, 16), (16, 1)):
        board = BoardQuery(tidy(runs), "few-shot", [("dtd", "DTD")], shots=shots).board
        assert [row.label for row in board.tables[0].rows] == ["maple", "coop"]
