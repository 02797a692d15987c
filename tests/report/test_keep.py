"""What is kept of a comparison: every board in every file format, plots drawn only when they are needed."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from boards import BOARD, FULL
from drawn_predictions import drawn as drawn_predictions
from score_frames import frame_of

from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.core.predictions import Predictions
from promptarena.benchmark.core.runs import Target
from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.leaderboard.formats.registry import file_endings
from promptarena.benchmark.report.keep import keep_boards, keep_sections
from promptarena.benchmark.report.sections import Section


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


class Files:
    """A record that keeps the files it is given, by folder."""

    def __init__(self) -> None:
        self.access = self
        self.files: dict[str, dict[str, bytes]] = {}

    def explained(self, _what: str) -> "nullcontext[None]":
        return nullcontext()

    def log_files(self, _run_id: str, files: dict[str, bytes], folder: str) -> None:
        self.files[folder] = files


def test_boards_and_figures_from_predictions_are_kept() -> None:
    rows = [(label, "birds", 1, {"base": 70.0, "novel": 60.0}) for label in ("coop", "maple")]
    section = Section(BoardQuery(frame_of(rows, "base-to-novel"), "base-to-novel", [("birds", "Birds")]))

    def kept(_run_id: str, target: Target) -> Sequence[Predictions]:
        if target.scored_as != target:
            return ()
        return [drawn_predictions(60, 6, dataset=target.dataset, subset=target.subset)]

    record: Any = Files()
    keep_boards(record, "c1", [section], kept)
    assert {f"base-to-novel-calibration.{ending}" for ending in file_endings().values()} <= set(record.files["tables"])
    names = [f"base-to-novel/{stem}.{end}" for stem in ("reliability", "risk-coverage") for end in ("png", "svg")]
    assert sorted(record.files["figures"]) == sorted(names)
    assert all(record.files["figures"].values())
    keep_boards(record, "c1", [section], lambda _run_id, _target: ())
    assert record.files == {"tables": {}, "figures": {}}
