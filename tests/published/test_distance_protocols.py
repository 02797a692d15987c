"""What is compared under transfer, few-shot and training on everything."""

from typing import Any

import pandas as pd
import pytest
from distanced import ELEVEN, SHIFTS, only, result

from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.leaderboard.frame import tidy
from promptarena.benchmark.published.board import distance_board
from promptarena.benchmark.published.distance import Distance, distances
from promptarena.benchmark.published.rows import AVERAGE


def transfer(published: pd.DataFrame, source: str = "imagenet", **changes: Any) -> list[Distance]:
    order = [(source, source), *SHIFTS[1:]]
    runs = [
        result("maple", seed, {(name, "all"): 60 + seed / 10 for name, _ in order}, seed, dataset=source, **changes)
        for seed in (1, 2, 3)
    ]
    return distances(BoardQuery(tidy(runs), "domain-generalization", order), published)


def test_transfer_needs_the_published_source(published: pd.DataFrame) -> None:
    found = transfer(published, protocol="domain-generalization")
    assert [each.dataset for each in found] == [*(name for name, _ in SHIFTS), AVERAGE]
    assert only(found, "maple", AVERAGE, "accuracy").points == pytest.approx(60.2 - 60.27)
    assert only(found, "maple", "imagenet-r", "accuracy").verdict == "off"
    other = transfer(published, "caltech101", protocol="domain-generalization")
    assert only(other, "maple", AVERAGE, "accuracy").words == "not comparable: other source (caltech101)"


def test_training_on_everything_is_not_compared_with_shots(published: pd.DataFrame) -> None:
    runs = [
        result(
            "rada-ft", seed, {(name, "all"): 60 + seed for name, _ in SHIFTS}, seed, protocol="domain-generalization"
        )
        for seed in (1, 2, 3)
    ]
    found = distances(BoardQuery(tidy(runs), "domain-generalization", SHIFTS), published)
    one = only(found, "rada-ft", "imagenet-a", "accuracy")
    assert one.words == "not comparable: published with the whole training set"
    assert one.published is not None
    assert one.published.text == "51.7"


def test_a_method_that_learns_nothing_has_no_number_of_shots(published: pd.DataFrame) -> None:
    scores = {(name, "all"): 60.83 for name, _ in SHIFTS}
    frame = tidy([result("zeroshot", None, scores, protocol="domain-generalization", shots=4)])
    found = distances(BoardQuery(frame, "domain-generalization", SHIFTS), published)
    assert only(found, "zeroshot", "imagenetv2", "accuracy").words == "reproduced"


def test_few_shot_figures_are_compared_shot_by_shot(published: pd.DataFrame) -> None:
    printed = {1: 72.32, 2: 75.29, 4: 78.35, 8: 80.69, 16: 82.87}
    runs = [
        result(
            "promptsrc",
            seed,
            {(name, "all"): printed[count] + seed - 2},
            100 * place + 10 * seed + count,
            protocol="few-shot",
            shots=count,
        )
        for seed in (1, 2, 3)
        for place, (name, _) in enumerate(ELEVEN)
        for count in printed
    ]
    found = distances(BoardQuery(tidy(runs), "few-shot", ELEVEN), published)
    averages = {each.shots: each for each in found if each.dataset == AVERAGE}
    assert {count: each.published.value for count, each in averages.items() if each.published} == printed
    assert {each.words for each in averages.values()} == {"reproduced"}
    assert {each.words for each in found if each.dataset != AVERAGE} == {"not comparable: no published figure"}
    board = distance_board(BoardQuery(tidy(runs), "few-shot", ELEVEN), published)
    assert [table.key for table in board.tables] == ["average-published"]
    assert [column.group for column in board.tables[0].columns[::3]] == [
        "1 shot",
        *(f"{n} shots" for n in (2, 4, 8, 16)),
    ]
    assert any(note.startswith("No figure of these methods is published for IMAGENET, ") for note in board.notes)
