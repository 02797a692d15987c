"""Tables as CSV."""

import csv
import io
from dataclasses import replace

import pytest
from boards import BOARD

from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.leaderboard.formats.render import render


def test_csv_is_unrounded_and_has_a_line_per_figure() -> None:
    lines = list(csv.DictReader(io.StringIO(render(BOARD, "csv"))))
    assert len(lines) == 6 + 6 + 4
    assert lines[0] == {
        "suite": "mini", "protocol": "base-to-novel", "backbone": "mini-clip", "miniature": "True", "own_splits": "",
        "part": "", "table": "average", "method": "coop", "column": "base_pct", "value": "80.468", "std": "0.5",
        "low95": "79.2258", "high95": "81.7102", "n": "3", "correct": "2414", "total": "3000",
        "filled": "3", "wanted": "3", "parts": "seeds", "reason": "",
    }  # fmt: skip
    hole = next(line for line in lines if line["reason"])
    assert (hole["method"], hole["value"], hole["reason"]) == ("a_b & c", "", "a linear head has no novel classes")


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_a_spreadsheet_takes_no_name_for_a_formula(start: str) -> None:
    label = Label(f"{start}HYPERLINK(1)")
    rows = tuple(replace(row, name=label) for row in BOARD.tables[0].rows)
    board = replace(BOARD, tables=(replace(BOARD.tables[0], rows=rows),))
    names = {line["method"] for line in csv.DictReader(io.StringIO(render(board, "csv")))}
    assert names == {f"'{start}HYPERLINK(1)"}
