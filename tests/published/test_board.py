"""The tables that distances are shown in."""

import csv
import io
import json
from typing import Any

import pandas as pd
import pytest
from distanced import DTD, result, seeded, sides
from rich.console import Console

from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.leaderboard.formats.render import Format, print_rich, render, render_all
from promptarena.benchmark.leaderboard.frame import tidy
from promptarena.benchmark.leaderboard.model import Board, Cell, Column, Row, Table
from promptarena.benchmark.published.board import distance_board


@pytest.fixture
def board(publish: Any) -> Board:
    table = publish(
        ("coop", "dtd", "base", 80.0),
        ("coop", "dtd", "novel", 66.0, {"kind": "re-run"}),
        ("maple", "dtd", "base", 81.5, {"kind": "own paper", "source": "MaPLe_README"}),
        ("maple", "dtd", "base", 81.4, {"source": "Another"}),
        ("maple", "dtd", "novel", 60.0, {"source": "MaPLe_README"}),
        ("maple", "dtd", "hm", 60.0, {"source": "MaPLe_README"}),
    )
    runs = [
        result(label, seed, sides(base + seed / 10), seed)
        for label, base in (("coop", 80.0), ("maple", 84.0), (Label("maple", (("n_ctx", "4"),)), 84.0))
        for seed in (1, 2, 3)
    ]
    return distance_board(BoardQuery(tidy(runs), "base-to-novel", DTD), table)


def test_ours_published_and_distance_stand_side_by_side(board: Board) -> None:
    markdown = render(board, "md")
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in markdown.splitlines() if line.startswith("|")]
    cells = {name: numbers for name, *numbers in lines}
    assert cells["coop"] == [
        *("80.20 ±0.10", "80.00 quoted", "+0.20 reproduced"),
        *("60.00 ±0.00", "66.00 re-run", "-6.00 no verdict"),
        *("68.64 ±0.04", "–", "–"),
    ]
    assert cells["maple"][:3] == ["84.20 ±0.10", "81.50 own paper", "+2.70 off"]
    assert cells["maple"][6:] == ["70.07 ±0.03", "60.00 quoted, flagged", "not comparable"]
    assert cells["maple(n\\_ctx=4)"][1:3] == ["–", "not comparable"]


def test_notes_give_every_reason_source_and_caution(board: Board) -> None:
    notes = "\n".join(board.notes)
    assert "No verdict: only a re-run by others is published – coop: DTD Novel" in notes
    assert "Not comparable: changed settings – maple(n_ctx=4): all figures" in notes
    assert "Not comparable: flagged: printed 60.00" in notes
    assert "Published, own paper: MaPLe_README – maple" in notes
    assert "maple, DTD Base: 81.50 is taken; the HM printed with it, 60.00, does not fit; Another prints 81.40" in notes


def test_every_format_renders_the_distances(board: Board, published: pd.DataFrame) -> None:
    formats: list[Format] = ["rich", "md", "latex", "html", "csv", "json"]
    for format in formats:
        text = render(board, format)
        assert "80.2" in text
        assert "0.2" in text
    rows = list(csv.DictReader(io.StringIO(render(board, "csv"))))
    (cell,) = [
        row
        for row in rows
        if (row["table"], row["method"], row["column"]) == ("dtd-published", "maple", "base_distance_points")
    ]
    assert float(cell["value"]) == pytest.approx(2.7)
    assert cell["reason"].startswith("off by +2.70 (reproduced within 0.")
    document = json.loads(render(board, "json"))
    (row,) = [row for row in document["tables"][1]["rows"] if row["method"] == "coop"]
    figure = row["figures"]["novel_published_pct"]
    assert (figure["value"], figure["reason"]) == (66.0, "re-run: Paper")
    assert r"\label{tab:clip-15-base-to-novel-published}" in render(board, "latex")
    assert "80.00 quoted" in render(board, "latex")
    assert 'title="quoted: Paper"' in render(board, "html")


def test_the_distances_stand_beside_the_leaderboard_in_one_file(published: pd.DataFrame) -> None:
    frame = seeded([80, 81, 82])
    both = [
        BoardQuery(frame, "base-to-novel", DTD).board,
        distance_board(BoardQuery(frame, "base-to-novel", DTD), published),
    ]
    rows = list(csv.DictReader(io.StringIO(render_all(both, "csv"))))
    places = [(row["table"], row["method"], row["column"]) for row in rows]
    assert len(places) == len(set(places))
    latex = render_all(both, "latex")
    labels = [line for line in latex.splitlines() if line.startswith(r"\label")]
    assert len(labels) == len(set(labels)) == 2


def test_a_group_of_columns_that_fits_a_line_is_not_cut(board: Board) -> None:
    stream = io.StringIO()
    print_rich(Console(file=stream, width=80, color_system=None), board)
    lines = stream.getvalue().splitlines()
    heads = [line.split() for line in lines if line.startswith("Method")]
    assert heads
    assert all(words[1:] == ["Ours", "Published", "Distance"] * (len(words) // 3) for words in heads)
    assert max(map(len, lines)) <= 80


def test_a_group_wider_than_the_line_is_cut_where_it_must_be() -> None:
    cell = Cell(80.468, std=0.5, n=3, filled=3, expected=3)
    names = ["Source", *["Target"] * 10, ""]
    columns = tuple(Column(f"d{number}_pct", f"Dataset{number:02d}", group=name) for number, name in enumerate(names))
    table = Table("targets", "Targets", columns, (Row(Label("coop"), (cell,) * 12),))
    board = Board("s", "cross-dataset", "T", "C", "b", False, (1, 2, 3), (table,))
    heads = [line.split()[1:] for line in render(board, "rich").splitlines() if line.startswith("Method")]
    assert [len(words) for words in heads] == [7, 5]
    assert [word for words in heads for word in words] == [f"Dataset{number:02d}" for number in range(12)]


def test_distances_that_round_to_nothing_have_no_minus(publish: Any) -> None:
    frame = tidy([result("zeroshot", None, sides(53.24))])
    table = publish(("zeroshot", "dtd", "base", 53.24))
    table["value"] += 1e-9
    assert "+0.00 reproduced" in render(distance_board(BoardQuery(frame, "base-to-novel", DTD), table), "md")
