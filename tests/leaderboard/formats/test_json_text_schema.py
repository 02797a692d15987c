"""The published JSON schema: every leaderboard fits it, and what is no leaderboard does not."""

import json
from dataclasses import replace
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from report_runs import NASTY, layout_of, results_of

from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.core.protocol_table import PROTOCOLS
from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.leaderboard.formats.render import render, render_all
from promptarena.benchmark.leaderboard.frame import tidy
from promptarena.benchmark.leaderboard.model import Board
from promptarena.benchmark.published.load import load_published
from promptarena.benchmark.report.sound import sound_sections

SCHEMA = json.loads((files("promptarena.benchmark.leaderboard.formats") / "leaderboard.schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA)
OUTLINE = layout_of()


def every_board(**common: Any) -> list[Board]:
    results = results_of(OUTLINE, NASTY[:3], seeds=(1, 2), **common)
    sections, refused = sound_sections(OUTLINE, results, published=load_published(), reference=NASTY[0])
    assert not refused
    return [board for section in sections for board in section.boards]


@pytest.fixture(scope="module")
def boards() -> list[Board]:
    return every_board()


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_every_board_fits_alone_and_in_a_list(boards: list[Board]) -> None:
    assert {board.part for board in boards} == {"", "statistics", "published"}
    VALIDATOR.validate(json.loads(render_all(boards, "json")))
    for board in boards:
        VALIDATOR.validate(json.loads(render(board, "json")))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_boards_with_holes_and_of_one_seed_fit(protocol: Any) -> None:
    results = [
        result
        for result in results_of(OUTLINE, ["a", "b"], seeds=(1,))
        if (result.label, result.dataset) != ("a", "d0")
    ]
    board = BoardQuery(
        tidy(results), protocol, OUTLINE.columns(protocol), labels=list(map(Label, "abc")), seeds=[1, 2]
    ).board
    VALIDATOR.validate(json.loads(render(board, "json")))


def test_boards_without_rows_fit(boards: list[Board]) -> None:
    empty = replace(boards[0], tables=tuple(replace(table, rows=()) for table in boards[0].tables))
    VALIDATOR.validate(json.loads(render(empty, "json")))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("value", "80.47"),
        ("std", -0.1),
        ("n", 1.5),
        ("correct", 2.5),
        ("total", 0),
        ("parts", "images"),
        ("unknown", 1),
    ],
)
def test_a_wrong_figure_does_not_fit(boards: list[Board], name: str, value: Any) -> None:
    document = json.loads(render(boards[0], "json"))
    document["tables"][0]["rows"][0]["figures"]["base_pct"][name] = value
    assert not VALIDATOR.is_valid(document)


def test_a_hole_has_no_interval_in_the_schema_either(boards: list[Board]) -> None:
    document = json.loads(render(boards[0], "json"))
    figure = document["tables"][0]["rows"][0]["figures"]["base_pct"]
    assert figure["low95"] is not None
    figure["value"] = None
    assert not VALIDATOR.is_valid(document)


def test_a_board_that_lacks_a_field_does_not_fit(boards: list[Board]) -> None:
    for field in json.loads(render(boards[0], "json")):
        document = json.loads(render(boards[0], "json"))
        del document[field]
        assert not VALIDATOR.is_valid(document), field
