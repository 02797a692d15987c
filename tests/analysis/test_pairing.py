"""Which predictions are paired, and the tables of a board that pairs methods."""

from dataclasses import replace

import pytest
from boards import BOARD
from drawn_predictions import drawn

from promptarena.benchmark.analysis.pairing import pairs_with, tables_of
from promptarena.benchmark.analysis.subjects import Answered
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.leaderboard.model import Cell, Column

ZERO, COOP, MAPLE = Label("zeroshot"), Label("coop"), Label("maple")
ONE = drawn(20, 4)
OTHER = replace(ONE, rank=ONE.rank[::-1])
ANSWERED = Answered(
    board=BOARD,
    datasets=(("food", "Food"),),
    by_place={
        ("food", "base"): {ZERO: {None: ONE}, COOP: {2: OTHER, 1: ONE}, MAPLE: {2: ONE, 3: OTHER}},
        ("food", "novel"): {COOP: {1: ONE}},
    },
    beside={},
    names=(ZERO, COOP, MAPLE),
    shots=None,
    notes=(),
)
BASE, NOVEL = ("food", "base"), ("food", "novel")


def test_the_reference_is_the_first_method_with_predictions() -> None:
    assert pairs_with(ANSWERED, "")[0] == "zeroshot"
    assert pairs_with(ANSWERED, "maple")[0] == "maple"
    assert pairs_with(ANSWERED, "rada") == ("rada", {})


def test_the_smallest_common_seed_is_paired_and_one_without_seeds_has_all() -> None:
    assert {key: pair.seed for key, pair in pairs_with(ANSWERED, "zeroshot")[1].items()} == {
        (BASE, COOP): 1,
        (BASE, MAPLE): 2,
    }
    against = pairs_with(ANSWERED, "coop")[1]
    assert {key: pair.seed for key, pair in against.items()} == {(BASE, ZERO): 1, (BASE, MAPLE): 2}
    assert (against[BASE, MAPLE].method, against[BASE, MAPLE].reference) == (ONE, OTHER)


def test_predictions_for_different_images_are_refused() -> None:
    shuffled = {BASE: {ZERO: {None: ONE}, COOP: {1: replace(ONE, images=ONE.images[::-1])}}}
    with pytest.raises(UserError, match="of different images; leave out one"):
        pairs_with(replace(ANSWERED, by_place=shuffled), "zeroshot")


def test_a_dataset_has_one_table_with_its_halves_side_by_side() -> None:
    def cells(place: tuple[str, str], name: Label) -> list[Cell] | None:
        return [Cell(1.0, filled=1)] if (place, name) in {(BASE, COOP), (NOVEL, MAPLE)} else None

    (table,) = tables_of(ANSWERED, [Column("n", "N", "count")], cells)
    assert (table.dataset, table.title) == ("food", "Food")
    assert [(column.key, column.group) for column in table.columns] == [
        ("base_n", "Base classes"),
        ("novel_n", "Novel classes"),
    ]
    assert [(row.name, [cell.value for cell in row.cells]) for row in table.rows] == [
        (COOP, [1.0, None]),
        (MAPLE, [None, 1.0]),
    ]
