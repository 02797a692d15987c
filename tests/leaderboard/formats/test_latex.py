"""Tables in LaTeX."""

from dataclasses import replace

from boards import BOARD, COST, FULL, SIDES

from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.leaderboard.formats.render import render
from promptarena.benchmark.leaderboard.model import Column, Row, Table


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
