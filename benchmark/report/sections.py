"""What a report shows of each protocol: its leaderboard, statistics, distances to published figures, and plots."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.protocol_table import PROTOCOLS, Protocol
from promptarena.benchmark.core.runs import StoredResult
from promptarena.benchmark.core.suite_layout import SuiteLayout
from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.leaderboard.frame import tidy
from promptarena.benchmark.leaderboard.model import Board
from promptarena.benchmark.plots.all_figures import every_figure
from promptarena.benchmark.plots.style import rendered
from promptarena.benchmark.published.board import distance_board
from promptarena.benchmark.statistics.board import statistics_board

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Section:
    """A protocol in a report.

    Args:
        protocol: The protocol's name.
        board: Its leaderboard.
        further: The boards derived from it.
        figures: SVG plots, by the name of their file without its ending.
    """

    protocol: Protocol
    board: Board
    further: tuple[Board, ...] = ()
    figures: Mapping[str, bytes] = field(default_factory=dict)


def sections_of(
    layout: SuiteLayout,
    results: Sequence[StoredResult],
    *,
    protocols: Sequence[Protocol] = tuple(PROTOCOLS),
    datasets: Sequence[str] = (),
    reference: str = "",
    published: "pd.DataFrame | None" = None,
) -> tuple[list[Section], list[str]]:
    """Build a section for each protocol that has results.

    Args:
        layout: The suite's datasets and titles.
        results: Recorded results of this suite.
        protocols: The protocols to show, in this order.
        datasets: The columns to show; empty: all.
        reference: A method that the statistics compare all others with, where it has results; empty: none.
        published: Published figures to give distances to; None: no distances.

    Returns:
        The sections, and lines on what was left out and why. A faulty result is left out; it raises no error.
    """
    made: list[Section] = []
    refused: list[str] = []
    for protocol in protocols:
        ours = [result for result in results if result.protocol == protocol]
        if not ours:
            continue
        frame, left_out = _sound(ours)
        refused += [f"{protocol}: left out: {reason}" for reason in left_out]
        columns = layout.columns(protocol, datasets)
        if frame is None or not columns:
            continue
        try:
            section = _section(layout, frame, protocol, columns, reference, published)
        except UserError as error:
            refused.append(f"{protocol}: left out: {error}")
            continue
        if section.board.tables[0].rows:
            made.append(section)
    return made, refused


def _section(
    layout: SuiteLayout,
    frame: "pd.DataFrame",
    protocol: Protocol,
    columns: Sequence[tuple[str, str]],
    reference: str,
    published: "pd.DataFrame | None",
) -> Section:
    query = BoardQuery(frame, protocol, columns, shots=layout.few_shot_shots)
    known = reference if (frame["label"] == reference).any() else ""
    further = [statistics_board(query, reference=known)]
    if published is not None:
        further.append(distance_board(query, published, barred=layout.barred))
    figures = {stem: rendered(figure, "svg") for stem, figure in every_figure(query, reference=known).items()}
    return Section(protocol, query.board, tuple(further), figures)


def _sound(results: Sequence[StoredResult]) -> "tuple[pd.DataFrame | None, list[str]]":
    """The tidy frame without the results that it refuses, and the refusals; no frame if everything is refused."""
    try:
        return tidy(results), []
    except UserError:
        refused: list[str] = []
    # First each run by itself, then each method: so one faulty run costs neither its method's other runs nor other
    # methods.
    sound = _accepted(results, lambda result: result.run_id, refused)
    sound = _accepted(sound, lambda result: result.label, refused)
    try:
        return tidy(sound) if sound else None, refused
    except UserError as error:
        return None, [*refused, str(error)]


def _accepted(
    results: Sequence[StoredResult], name: Callable[[StoredResult], str], refused: list[str]
) -> list[StoredResult]:
    """The results of the groups, by name, that `tidy` accepts by themselves; the reasons for others go to `refused`."""
    groups: dict[str, list[StoredResult]] = {}
    for result in results:
        groups.setdefault(name(result), []).append(result)
    kept = []
    for group in groups.values():
        try:
            tidy(group)
        except UserError as error:
            refused.append(str(error))
        else:
            kept += group
    return kept
