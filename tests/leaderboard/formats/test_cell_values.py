"""A cell in data formats: every value as it is."""

from dataclasses import fields

from boards import FULL, MISSING

from promptarena.benchmark.leaderboard.formats.cell_values import figure
from promptarena.benchmark.leaderboard.model import Cell

NAMES = {"low": "low95", "high": "high95", "expected": "wanted"}
PRINTED_ONLY = {"mark", "note"}


def test_all_but_what_is_for_print_is_there_and_unrounded() -> None:
    for cell in (FULL, MISSING):
        expected = {NAMES.get(each.name, each.name): getattr(cell, each.name) for each in fields(Cell)}
        assert figure(cell) == {name: value for name, value in expected.items() if name not in PRINTED_ONLY}
