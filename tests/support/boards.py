"""A board with every kind of cell."""

from promptarena.benchmark.core.labels import Label
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
            dataset="dtd",
        ),
        COST,
    ),
    notes=("coop: 1 run_missing",),
)
