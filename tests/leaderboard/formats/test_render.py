"""Every format of a leaderboard, as small gold texts and as properties."""

import json
from dataclasses import replace

import pytest
from boards import BOARD

from promptarena.benchmark.leaderboard.formats.render import Format, render, render_all

FORMATS: list[Format] = ["rich", "md", "latex", "html", "csv", "json"]


def test_several_boards_are_one_document() -> None:
    boards = [BOARD, replace(BOARD, protocol="few-shot")]
    lines = render_all(boards, "csv").splitlines()
    assert sum(line.startswith("suite,") for line in lines) == 1
    assert len(lines) == 1 + 2 * 16
    assert [document["protocol"] for document in json.loads(render_all(boards, "json"))] == [
        "base-to-novel",
        "few-shot",
    ]
    assert render_all(boards, "html").count("<!doctype html>") == 1
    for format in ("rich", "md"):
        assert render_all(boards, format).count("Base-to-novel generalization") == 2  # type: ignore[arg-type]


@pytest.mark.parametrize("format", FORMATS)
def test_boards_without_rows_can_be_shown(format: Format) -> None:
    empty = replace(BOARD, tables=tuple(replace(table, rows=()) for table in BOARD.tables), notes=())
    assert render(empty, format)
