"""Every format of a leaderboard, as small gold texts and as properties."""

import csv
import io
import json
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from rich.console import Console

from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.leaderboard.formats.render import Format, print_rich, render, render_all
from promptarena.benchmark.leaderboard.model import Board, Cell, Column, Row, Table

SIDES = (Column("base_pct", "Base", headline=True), Column("novel_pct", "Novel"), Column("extra_pct", "x", shown=False))
FULL = Cell(
    80.468, std=0.5, low=79.2258, high=81.7102, n=3, filled=3, expected=3, correct=2414, total=3000, mark="best"
)
STILL = Cell(74.2149, n=1, filled=1, expected=1, correct=742, total=1000, mark="second")
PARTIAL = Cell(70.0, std=1.0, n=2, filled=2, expected=3, correct=7, total=10)
MISSING = Cell(filled=0, expected=3, reason="a linear head has no novel classes")
GAP = Cell(filled=9, expected=11, parts="datasets")
COST = Table(
    "cost",
    "Cost, mean over runs",
    (Column("trainable_parameters", "Parameters", "parameters"), Column("train_seconds", "Training s", "seconds")),
    (
        Row(Label("coop"), (Cell(8192.0, n=3, filled=1, parts="runs"), Cell(12.345, n=3, filled=1, parts="runs"))),
        Row(Label("a_b & c"), (Cell(0.0, n=1, filled=1, parts="runs"), Cell(n=1, parts="runs"))),
    ),
)
BOARD = Board(
    suite="mini",
    protocol="base-to-novel",
    title="Base-to-novel generalization",
    caption="Mean ± spread; 95 % interval.",
    backbone="mini-clip",
    miniature=True,
    seeds=(1, 2, 3),
    tables=(
        Table(
            "average",
            "Average over 11 datasets",
            SIDES,
            (Row(Label("coop"), (FULL, GAP, FULL)), Row(Label("a_b & c"), (STILL, MISSING, STILL))),
        ),
        Table(
            "dtd",
            "DTD",
            SIDES,
            (Row(Label("coop"), (PARTIAL, FULL, FULL)), Row(Label("a_b & c"), (STILL, STILL, STILL))),
        ),
        COST,
    ),
    notes=("coop: 1 run_missing",),
)
FORMATS: list[Format] = ["rich", "md", "latex", "html", "csv", "json"]


def wide(columns: int, labels: tuple[str, ...] = ("coop", "maple")) -> Board:
    heads = tuple(Column(f"d{number}_pct", f"Dataset{number:02d}", group="Target") for number in range(columns))
    rows = tuple(Row(Label(label), (FULL,) * columns) for label in labels)
    return replace(BOARD, tables=(Table("targets", "Targets", heads, rows), replace(COST, rows=())))


def test_rich() -> None:
    assert (
        render(BOARD, "rich")
        == """\
Base-to-novel generalization

Average over 11 datasets
Method         Base    Novel
────────────────────────────
coop     80.47±0.50  9 of 11
a_b & c       74.21        –

DTD
Method         Base       Novel
───────────────────────────────
coop     70.00(2/3)  80.47±0.50
a_b & c       74.21       74.21

Cost, mean over runs
Method   Parameters  Training s
───────────────────────────────
coop          8,192        12.3
a_b & c           0           –

Mean ± spread; 95 % interval.
- coop: 1 run_missing
"""
    )


def test_markdown() -> None:
    assert (
        render(BOARD, "md")
        == r"""## Base-to-novel generalization

### Average over 11 datasets

| Method   |            Base |   Novel |
|:---------|----------------:|--------:|
| coop     | **80.47 ±0.50** | 9 of 11 |
| a\_b & c |    <u>74.21</u> |       – |

### DTD

| Method   |         Base |           Novel |
|:---------|-------------:|----------------:|
| coop     |  70.00 (2/3) | **80.47 ±0.50** |
| a\_b & c | <u>74.21</u> |    <u>74.21</u> |

### Cost, mean over runs

| Method   |   Parameters |   Training s |
|:---------|-------------:|-------------:|
| coop     |        8,192 |         12.3 |
| a\_b & c |            0 |            – |

Mean ± spread; 95 % interval.

- coop: 1 run\_missing
"""
    )


def test_latex() -> None:
    text = render(replace(BOARD, tables=(BOARD.tables[0], COST)), "latex")
    assert text.startswith(r"""\begin{table*}
\centering
\scriptsize
\setlength{\tabcolsep}{3pt}
\caption{Mean $\pm$ spread; 95 \% interval.}
\label{tab:mini-base-to-novel}
\begin{tabular}[t]{lrr}
\toprule
\multicolumn{3}{c}{Average over 11 datasets} \\
\midrule
Method & Base & Novel \\
\midrule
coop & \textbf{80.47} {\tiny$\pm$0.50} & 9 of 11 \\
a\_b \& c & \underline{74.21} & -- \\
\bottomrule
\end{tabular}
""")
    assert text.endswith("\\par\\footnotesize coop: 1 run\\_missing\n\\end{table*}\n")


def test_latex_names_groups_over_their_columns() -> None:
    heads = (
        Column("a", "A", group="Source"),
        Column("b", "B", group="Target"),
        Column("c", "C", group="Target"),
        Column("d", "Average"),
    )
    text = render(replace(BOARD, tables=(Table("t", "T", heads, (Row(Label("m"), (FULL,) * 4),)), COST)), "latex")
    assert r"& \multicolumn{1}{c}{Source} & \multicolumn{2}{c}{Target} & \\" in text


def test_latex_escapes_every_special_character_once() -> None:
    board = replace(BOARD, tables=(Table("t", r"\&%$#_{}~^", SIDES[:1], ()), COST), notes=())
    escaped = r"\textbackslash{}\&\%\$\#\_\{\}\textasciitilde{}\textasciicircum{}"
    assert f"{{{escaped}}}" in render(board, "latex")


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


def test_json_holds_the_whole_board() -> None:
    document = json.loads(render(BOARD, "json"))
    assert (document["seeds"], document["miniature"], document["notes"]) == ([1, 2, 3], True, ["coop: 1 run_missing"])
    average, dtd, cost = document["tables"]
    assert average["rows"][0]["figures"]["base_pct"]["value"] == 80.468
    assert average["rows"][0]["figures"]["extra_pct"]["std"] == 0.5
    assert dtd["rows"][0]["figures"]["base_pct"]["filled"] == 2
    assert cost["columns"][1] == {"key": "train_seconds", "title": "Training s", "unit": "seconds", "group": ""}


class _Balance(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.data = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.data += data


def test_html_is_well_formed_and_escaped() -> None:
    page = _Balance()
    text = render(replace(BOARD, notes=("<script>alert(1)</script>",)), "html")
    page.feed(text)
    assert page.open == []
    assert "<script>" not in text
    assert "a_b &amp; c" in text
    assert "<b>80.47</b> <small>±0.50</small>" in text
    assert "<u>74.21</u>" in text
    assert "79.23 to 81.71" in text


def test_a_wide_board_is_cut_to_the_terminal() -> None:
    text = render(wide(12), "rich")
    assert all(len(line) <= 100 for line in text.splitlines())
    assert text.count("Targets, continued") == 1
    for number in range(12):
        assert text.count(f"Dataset{number:02d}") == 1


def test_blocks_stand_side_by_side_where_they_fit() -> None:
    heads = (Column("a_pct", "Base"), Column("b_pct", "Novel"), Column("c_pct", "HM"))
    blocks = tuple(
        Table(name, name, heads, (Row(Label("linear-probe"), (FULL,) * 3),))
        for name in ("First", "DTD", "Pets", "Cars")
    )
    lines = render(replace(BOARD, tables=(*blocks, COST)), "rich").splitlines()
    assert any("DTD" in line and "Pets" in line for line in lines)
    assert not any("Pets" in line and "Cars" in line for line in lines)
    assert all(len(line) <= 100 for line in lines)


def test_long_names_are_folded_not_lost() -> None:
    label = "coop(" + ", ".join(f"option_{number}=value_{number}" for number in range(8)) + ")"
    text = render(wide(3, (label,)), "rich")
    assert all(len(line) <= 100 for line in text.splitlines())
    assert "value_7)" in text
    assert "80.47±0.50" in text


def test_names_are_never_taken_for_markup() -> None:
    board = replace(
        BOARD, tables=(Table("t", "[bold]T[/bold]", SIDES[:1], (Row(Label("[red]x[/red]"), (FULL,)),)), COST)
    )
    assert "[red]x[/red]" in render(board, "rich")
    assert "[bold]T[/bold]" in render(board, "rich")


def test_a_terminal_shows_the_best_in_bold_and_the_second_underlined() -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system="standard", legacy_windows=False)
    print_rich(console, BOARD)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b[1m80.47±0.50" in text
    assert "\x1b[4m74.21" in text


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
