"""Boards from the predictions of a leaderboard, in one step."""

from collections.abc import Sequence

from promptarena.benchmark.analysis.boards import Source, answered_of, boards_from
from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.leaderboard.model import Board


def boards_of(query: BoardQuery, source: Source, names: Sequence[str], reference: str = "") -> tuple[Board, ...]:
    return boards_from(answered_of(query, source), names, reference)
