"""Boards for pdflatex."""

from report_runs import layout_of, results_of

from promptarena.benchmark.core.protocol_table import Protocol
from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.leaderboard.frame import tidy
from promptarena.benchmark.leaderboard.model import Board


def board_of(labels: tuple[str, ...], protocol: Protocol, datasets: int, seeds: tuple[int, ...] = (1, 2, 3)) -> Board:
    layout = layout_of(datasets)
    results = results_of(layout, labels, seeds, [protocol])
    return BoardQuery(tidy(results), protocol, layout.columns(protocol), shots=layout.few_shot_shots).board
