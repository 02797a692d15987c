"""What `--format latex` gives goes through pdflatex, whatever the names, and stays on the page."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from latex_runs import board_of
from report_runs import NASTY, layout_of, results_of

from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.core.protocol_table import PROTOCOLS, Protocol
from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.leaderboard.formats.render import render_all
from promptarena.benchmark.leaderboard.frame import tidy
from promptarena.benchmark.published.board import distance_board
from promptarena.benchmark.published.load import load_published
from promptarena.benchmark.statistics.board import statistics_board

DOCUMENT = r"""\documentclass{article}
\usepackage{booktabs,graphicx}
\begin{document}
%s
\end{document}
"""
FORTY = tuple(f"method{number}(n_ctx={number}, init=a_photo)" for number in range(40))
SLACK = 10.0


def needs_pdflatex(test: Any) -> Any:
    there = pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex is not on this machine")
    return pytest.mark.needs("pdflatex")(there(test))


def compiled(source: str, folder: Path) -> str:
    """The log of pdflatex, which must not complain."""
    (folder / "tables.tex").write_text(DOCUMENT % source, encoding="utf-8")
    ended = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "tables.tex"],
        cwd=folder,
        capture_output=True,
        timeout=120,
        check=False,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "max_print_line": "1000", "HOME": str(folder)},
    )
    log = (folder / "tables.log").read_text(errors="replace")
    assert ended.returncode == 0, log[-3000:]
    return log


def assert_on_the_page(log: str) -> None:
    assert "Float too large" not in log
    wide = [float(points) for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt too wide\)", log)]
    assert all(points <= SLACK for points in wide), wide


@needs_pdflatex
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_name_compiles(protocol: Protocol, tmp_path: Path) -> None:
    board = board_of(NASTY, protocol, 3)
    nasty = replace(board, caption=" ".join(NASTY), notes=NASTY, title=NASTY[0])
    assert_on_the_page(compiled(render_all([nasty], "latex"), tmp_path))


@needs_pdflatex
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_forty_methods_on_eleven_datasets_stay_on_the_page(protocol: Protocol, tmp_path: Path) -> None:
    board = board_of(FORTY, protocol, 11)
    log = compiled(
        render_all([replace(board, notes=tuple(f"{label}: no runs yet" for label in FORTY * 3))], "latex"), tmp_path
    )
    assert_on_the_page(log)
    assert "Too many unprocessed floats" not in log


@needs_pdflatex
def test_holes_one_seed_and_further_boards_compile(tmp_path: Path) -> None:
    layout = layout_of(3)
    names = ("coop", "maple", "zeroshot")
    results = [
        result
        for result in results_of(layout, names, (1,), ["base-to-novel"])
        if (result.label, result.dataset) != ("coop", "d0")
    ]
    frame, columns = tidy(results), [("imagenet", "ImageNet"), *layout.columns("base-to-novel")]
    boards = [
        BoardQuery(frame, "base-to-novel", columns, labels=[Label("absent"), *map(Label, names)], seeds=[1, 2]).board,
        distance_board(BoardQuery(frame, "base-to-novel", columns), load_published()),
        statistics_board(BoardQuery(frame, "base-to-novel", columns), reference="maple"),
    ]
    assert_on_the_page(compiled(render_all(boards, "latex"), tmp_path))


@needs_pdflatex
def test_an_empty_board_compiles(tmp_path: Path) -> None:
    board = board_of(("coop",), "base-to-novel", 3)
    empty = replace(board, tables=tuple(replace(table, rows=()) for table in board.tables))
    assert_on_the_page(compiled(render_all([empty], "latex"), tmp_path))
