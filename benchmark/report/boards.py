"""The boards of a suite: leaderboards with their statistics, distances to published figures, and plots."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict, Unpack

from promptarena.benchmark.core.errors import unknown
from promptarena.benchmark.core.protocol_table import PROTOCOLS, Protocol
from promptarena.benchmark.core.runs import StoredResult
from promptarena.benchmark.core.suite_layout import SuiteLayout
from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.leaderboard.frame import reading_label, tidy
from promptarena.benchmark.leaderboard.model import Board
from promptarena.benchmark.plots.all_figures import every_figure
from promptarena.benchmark.plots.style import Format, rendered
from promptarena.benchmark.published.board import distance_board
from promptarena.benchmark.published.load import load_published
from promptarena.benchmark.statistics.board import statistics_board

if TYPE_CHECKING:
    import pandas as pd

FIGURE_FORMATS: tuple[Format, ...] = ("png", "svg")
"""The formats of the plots that are kept in the record."""


class Selection(TypedDict, total=False):
    """Which results to show.

    Args:
        protocols: The boards to build; default: those of all protocols that have results.
        methods: The rows to show, by the method's name or label; default: all.
        labels: The expected rows, so that missing ones show.
        seeds: The expected seeds, so that missing ones show.
        datasets: The columns to show; default: all of the suite.
        shots: The columns of the few-shot protocol, in training images per class; default: the suite's.
        published: Whether each leaderboard is followed by a board of distances to published figures.
        statistics: Whether each leaderboard is followed by a board of statistics.
        reference: The label of a method that the statistics compare all others with, in the protocols in which it has
            results.
    """

    protocols: Sequence[Protocol]
    methods: Sequence[str]
    labels: Sequence[str]
    seeds: Sequence[int]
    datasets: Sequence[str]
    shots: Sequence[int]
    published: bool
    statistics: bool
    reference: str


def boards_of(layout: SuiteLayout, results: Sequence[StoredResult], **selection: Unpack[Selection]) -> list[Board]:
    """Build the leaderboards of a suite, each followed by the boards derived from it.

    Args:
        layout: The suite's datasets and titles.
        results: Recorded results of this suite.
        selection: See `Selection`.

    Returns:
        The boards, in the order of the protocols.

    Raises:
        UserError: A method or the reference has no results, or runs must not be mixed (see `unmixed`).
    """
    frame, queries = _queries(layout, results, selection)
    reference = selection.get("reference", "")
    if reference and not (frame["label"] == reference).any():
        raise unknown("recorded method to compare with", reference, set(frame["label"]))
    made = []
    for query in queries:
        made.append(query.board)
        if selection.get("statistics", False):
            scored = ((frame["protocol"] == query.protocol) & (frame["label"] == reference)).any()
            made.append(statistics_board(query, reference=reference if scored else ""))
        if selection.get("published", False):
            made.append(distance_board(query, load_published(), barred=layout.barred))
    return made


def figures_of(
    layout: SuiteLayout, results: Sequence[StoredResult], **selection: Unpack[Selection]
) -> dict[str, bytes]:
    """Draw the plots of the same boards.

    Args:
        layout: The suite's datasets and titles.
        results: Recorded results of this suite.
        selection: See `Selection`.

    Returns:
        PNG and SVG files by name, such as "base-to-novel/plane.svg".

    Raises:
        UserError: As `boards_of` does.
    """
    _, queries = _queries(layout, results, selection)
    return {
        f"{query.protocol}/{stem}.{format}": rendered(figure, format)
        for query in queries
        for stem, figure in every_figure(query).items()
        for format in FIGURE_FORMATS
    }


def _queries(
    layout: SuiteLayout, results: Sequence[StoredResult], selection: Selection
) -> "tuple[pd.DataFrame, list[BoardQuery]]":
    """The tidy frame, and a query for each shown protocol."""
    methods, protocols = selection.get("methods", ()), selection.get("protocols", ())
    frame = tidy(of_methods(methods, results) if methods and results else results)
    read = {result.label: dict.fromkeys(score.reading for score in result.scores) for result in results}
    labels = [
        reading_label(label, reading)
        for label in selection.get("labels", ())
        for reading in {"": None} | read.get(label, {})
    ]
    seeds, few = selection.get("seeds", ()), selection.get("shots", ()) or layout.few_shot_shots
    queries = [
        BoardQuery(frame, protocol, layout.columns(protocol, selection.get("datasets", ())), labels, seeds, few)
        for protocol in protocols or [protocol for protocol in PROTOCOLS if (frame["protocol"] == protocol).any()]
    ]
    return frame, [query for query in queries if query.datasets]


def of_methods(methods: Sequence[str], results: Sequence[StoredResult]) -> list[StoredResult]:
    """The results of these methods, by name or label. Raises UserError for a method without results."""
    known = {result.method for result in results} | {result.label for result in results}
    for name in methods:
        if name not in known:
            raise unknown("recorded method", name, known)
    return [result for result in results if result.method in methods or result.label in methods]
