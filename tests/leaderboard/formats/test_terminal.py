"""Tables in a terminal."""

import io
from dataclasses import replace

from boards import BOARD, COST, FULL, SIDES
from rich.console import Console

from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.leaderboard.formats.render import print_rich, render
from promptarena.benchmark.leaderboard.model import Board, Column, Row, Table


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
