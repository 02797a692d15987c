"""Whatever a sound frame holds, every table, figure and page is made of it; what may not be mixed is refused."""

import csv
import io
import json
import math
from importlib.resources import files
from typing import Any
from unittest.mock import patch
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from report_runs import layout_of
from score_frames import frame_of

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.protocol_table import PROTOCOLS, Protocol
from promptarena.benchmark.leaderboard.build import BoardQuery, leaderboard
from promptarena.benchmark.leaderboard.formats.csv_text import FORMULAS
from promptarena.benchmark.leaderboard.formats.render import Format, render_all
from promptarena.benchmark.leaderboard.model import Board, in_brief
from promptarena.benchmark.leaderboard.selection import protocol_rows
from promptarena.benchmark.plots.all_figures import every_figure
from promptarena.benchmark.plots.style import rendered
from promptarena.benchmark.report.page import report_page
from promptarena.benchmark.report.sections import Section
from promptarena.benchmark.statistics.board import statistics_board

VALIDATOR = Draft202012Validator(
    json.loads((files("promptarena.benchmark.leaderboard.formats") / "leaderboard.schema.json").read_text())
)
OUTLINE = layout_of(3)
FORMATS: tuple[Format, ...] = ("rich", "md", "latex", "html", "csv", "json")
NAMES = st.one_of(
    st.sampled_from(
        [
            r"$x^2_{i}$ & 100% #1 ~^\alpha{",
            "<script>alert('&amp;')</script>",
            "a | b `*c*` [d]",
            "naïve—Ω≈ç√ 中文",
            "y" * 300,
            "[red]bold[/red]",
            "=1+1",
            'a, "b"\nc',
        ]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=30),
)
ACCURACIES = st.one_of(st.sampled_from([0.0, 100.0, 50.0]), st.integers(0, 10_000).map(lambda count: count / 100))


def titled(protocol: Protocol) -> list[tuple[str, str]]:
    columns = OUTLINE.columns(protocol)
    return [("source", "Source"), *columns[1:]] if protocol in ("cross-dataset", "domain-generalization") else columns


@st.composite
def frames(draw: Any) -> tuple[Protocol, pd.DataFrame]:
    """A frame with holes anywhere, of any number of seeds, shots and methods, some of them without seeds."""
    protocol = draw(st.sampled_from(list(PROTOCOLS)))
    subsets = ("base", "novel") if protocol == "base-to-novel" else ("all",)
    seeds = draw(st.sampled_from([(1,), (1, 2), (1, 2, 3)]))
    labels = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    parts = []
    for shots in draw(st.sampled_from([(16,), (4, 16)])):
        rows = [
            (label, name, seed, {subset: draw(ACCURACIES) for subset in subsets if draw(st.integers(0, 5))})
            for label in labels
            for name, _ in titled(protocol)
            for seed in ([None] if label == labels[-1] and len(labels) > 1 else seeds)
        ]
        parts.append(frame_of(rows, protocol, shots=shots, train_seconds=draw(st.sampled_from([0.0, 60.0]))))
    frame = pd.concat(parts, ignore_index=True)
    frame["run_id"] = [f"r{number}" for number in range(len(frame))]
    return protocol, frame


def boards_of(protocol: Protocol, frame: pd.DataFrame) -> list[Board]:
    columns = titled(protocol)
    made = [BoardQuery(frame, protocol, columns, shots=(4, 16)).board]
    scored = protocol_rows(frame, protocol, columns).frame
    known = set(scored.loc[scored["target_dataset"] != "source", "plain_label"])
    return made + [
        statistics_board(BoardQuery(frame, protocol, columns, shots=(4, 16)), reference=reference)
        for reference in ["", *sorted(known)[:1]]
    ]


def name_of(cell: str) -> str:
    """A method's name in CSV, without the apostrophe that keeps a spreadsheet from taking it for a formula."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULAS) else cell


@pytest.mark.filterwarnings("error")
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(frames())
def test_every_table_is_made_and_says_the_same(world: tuple[Protocol, pd.DataFrame]) -> None:
    protocol, frame = world
    boards = boards_of(protocol, frame)
    shown: dict[Format, str] = {
        format: render_all(boards, format) for format in ("rich", "md", "latex", "html", "csv", "json")
    }
    documents = json.loads(shown["json"])
    VALIDATOR.validate(documents)
    figures = {
        (table["key"], row["method"], key): figure["value"]
        for table in documents[0]["tables"]
        for row in table["rows"]
        for key, figure in row["figures"].items()
    }
    lines = list(csv.DictReader(io.StringIO(shown["csv"])))
    assert figures == {
        (line["table"], name_of(line["method"]), line["column"]): float(line["value"]) if line["value"] else None
        for line in lines[: len(figures)]
    }
    assert all(value is None or math.isfinite(value) for value in figures.values())
    soup = BeautifulSoup(shown["html"], "html.parser")
    assert not soup.find_all("script")
    labels = {row.label for row in boards[0].tables[0].rows}
    assert labels <= {head.get_text() for head in soup.find_all("th")}
    for board in boards[1:]:
        assert board.brief
        assert len(render_all([in_brief(board)], "rich").splitlines()) >= 2


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(frames())
def test_every_page_is_made(world: tuple[Protocol, pd.DataFrame]) -> None:
    protocol, frame = world
    first, *further = boards_of(protocol, frame)
    section = Section(BoardQuery(frame, protocol, titled(protocol), shots=(4, 16)), tuple(further))
    with patch("promptarena.benchmark.report.sections.every_figure", lambda *_, **__: {}):
        page = report_page(OUTLINE, [section], [])
    soup = BeautifulSoup(page, "html.parser")
    assert {row.label for row in first.tables[0].rows} <= {head.get_text() for head in soup.find_all("th")}
    assert len(soup.find_all("script")) <= 2


@pytest.mark.filterwarnings("error", "ignore:Glyph")
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(frames())
def test_every_figure_is_made(world: tuple[Protocol, pd.DataFrame]) -> None:
    protocol, frame = world
    reference = frame["label"].iloc[0] if len(frame) else ""
    for figure in every_figure(
        BoardQuery(frame, protocol, titled(protocol), shots=(4, 16)), reference=reference
    ).values():
        ElementTree.fromstring(rendered(figure, "svg"))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_forty_methods_have_tables_and_statistics(protocol: Protocol) -> None:
    random = np.random.default_rng(1)
    subsets = ("base", "novel") if protocol == "base-to-novel" else ("all",)
    frame = frame_of(
        [
            (
                f"method{number}(n_ctx={number})",
                name,
                seed,
                {subset: round(float(random.uniform(0, 100)), 2) for subset in subsets},
            )
            for number in range(40)
            for name, _ in titled(protocol)
            for seed in (1, 2, 3)
        ],
        protocol,
    )
    for board in boards_of(protocol, frame):
        assert len(board.tables[0].rows) == 40
        for format in FORMATS:
            assert render_all([board], format).count("method39(n") >= 1


@pytest.mark.parametrize("column", ["suite", "backbone"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_may_not_be_mixed_is_refused_by_all_that_is_made_of_it(protocol: Protocol, column: str) -> None:
    subset = "base" if protocol == "base-to-novel" else "all"
    frame = frame_of([("a", titled(protocol)[0][0], seed, {subset: 60.0}) for seed in (1, 2)], protocol)
    frame.loc[1, column] = "another"
    for make in (leaderboard, statistics_board, every_figure):
        with pytest.raises(UserError, match=f"several values of {column} cannot be compared: another, "):
            make(BoardQuery(frame, protocol, titled(protocol)))  # type: ignore[operator]
