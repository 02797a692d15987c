"""What is kept of a comparison: every board in every file format, plots drawn only when they are needed."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from boards import BOARD, FULL

from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.leaderboard.formats.registry import file_endings
from promptarena.benchmark.report.keep import keep_sections


class Kept:
    """A record that keeps what it is given, and draws only when asked."""

    def log_tables(
        self, comparison: str, tables: Any, headline: Any, datasets: list[str], draw: Callable[[], dict[str, bytes]]
    ) -> None:
        self.comparison, self.tables, self.headline, self.datasets, self.draw = (
            comparison,
            tables,
            headline,
            datasets,
            draw,
        )


@pytest.fixture
def drawn() -> list[tuple[str, ...]]:
    return []


def section(drawn: list[tuple[str, ...]]) -> Any:
    def figures(*formats: str) -> dict[str, bytes]:
        drawn.append(formats)
        return {f"bars.{each}": each.encode() for each in formats}

    from dataclasses import replace

    return SimpleNamespace(
        protocol="base-to-novel",
        board=BOARD,
        boards=(BOARD, replace(BOARD, part="statistics", tables=())),
        figures=figures,
    )


def test_boards_in_all_formats_headlines_and_figures_on_demand(drawn: list[tuple[str, ...]]) -> None:
    record: Any = Kept()
    keep_sections(record, "c1", [section(drawn)])
    endings = file_endings().values()
    names = [f"base-to-novel{part}.{ending}" for part in ("", "-statistics") for ending in endings]
    assert sorted(record.tables) == sorted(names)
    assert record.headline[Label("coop")] == {"Base base-to-novel": FULL.value}
    assert record.datasets == ["dtd"]
    assert drawn == []
    assert sorted(record.draw()) == ["base-to-novel/bars.png", "base-to-novel/bars.svg"]
