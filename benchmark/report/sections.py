"""All that is made of a protocol's results: its leaderboard, statistics, distances to published figures, and plots.

The commands `leaderboard`, `compare` and `report` all show these sections.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, TypedDict, Unpack

from promptarena.benchmark.analysis.boards import Source, answered_of, boards_from
from promptarena.benchmark.analysis.curves import Curves, curves_of
from promptarena.benchmark.core.errors import unknown
from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.core.predictions import Predictions
from promptarena.benchmark.core.protocol_table import PROTOCOLS, Protocol, protocol_info
from promptarena.benchmark.core.runs import StoredResult, Target
from promptarena.benchmark.core.suite_layout import SuiteLayout
from promptarena.benchmark.leaderboard.build import ZERO_SHOT, BoardQuery
from promptarena.benchmark.leaderboard.captions import without_datasets
from promptarena.benchmark.leaderboard.frame import tidy
from promptarena.benchmark.leaderboard.model import Board
from promptarena.benchmark.plots.all_figures import every_figure
from promptarena.benchmark.plots.certainty import reliability, risk_coverage
from promptarena.benchmark.plots.inline import inline
from promptarena.benchmark.plots.style import PAGE, Format, rendered
from promptarena.benchmark.plugins.families import expanded
from promptarena.benchmark.published.board import distance_board
from promptarena.benchmark.statistics.board import statistics_board
from promptarena.benchmark.statistics.ranks import Ranking, rank
from promptarena.benchmark.statistics.scores import NoScoresError, Scores, read_scores

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

OF_PREDICTIONS = ("reliability", "risk-coverage")
"""The plots that are made from predictions."""


@dataclass(frozen=True, eq=False)
class Section:
    """A protocol with all that is made of its results.

    Args:
        query: Which leaderboard. The section's boards and plots are made from it, so the leaderboard is built once.
        further: The boards derived from the leaderboard.
        analysis: The boards made from predictions.
        reference: The label of the method that the others are compared with; empty: none.
        curves: The curves made from predictions; None where no board of predictions is requested.
    """

    query: BoardQuery
    further: tuple[Board, ...] = ()
    analysis: tuple[Board, ...] = ()
    reference: str = ""
    curves: Curves | None = None

    @property
    def protocol(self) -> Protocol:
        """The protocol's name."""
        return self.query.protocol

    @property
    def board(self) -> Board:
        """The leaderboard."""
        return self.query.board

    @property
    def boards(self) -> tuple[Board, ...]:
        """The leaderboard, the boards derived from it, and those made from predictions."""
        return (self.board, *self.further, *self.analysis)

    @cached_property
    def scores(self) -> Scores:
        """The scores of the headline metric."""
        return read_scores(self.query)

    @cached_property
    def ranking(self) -> Ranking | None:
        """The methods ranked by the headline metric; None if there is nothing to rank."""
        try:
            return rank(self.scores)
        except NoScoresError:
            return None

    def drawn(
        self,
        stems: Sequence[str] = (),
        *,
        dataset: str = "",
        most: int | None = None,
        width: float | None = None,
    ) -> "dict[str, Figure]":
        """Draw all plots that have something to show.

        Args:
            stems: The names of the plots to draw; empty: all.
            dataset: The card name of the dataset that plots made from predictions show; empty: the average.
            most: How many methods these show at most, the first ones of the leaderboard; None: all.
            width: Their width in inches; None: that of a page.

        Returns:
            The plots by the name of their file without its ending.

        Raises:
            UserError: As `every_figure` does.
        """
        made = every_figure(self.query, reference=self.reference, stems=stems, width=width)
        return made | self._certainty(stems, dataset, most, width or PAGE)

    def _certainty(self, stems: Sequence[str], dataset: str, most: int | None, width: float) -> "dict[str, Figure]":
        if self.curves is None:
            return {}
        count = len(self.curves.reliability) - 1
        over = dict(self.query.datasets).get(dataset, f"average over {count} dataset{'s' * (count > 1)}")
        made = {
            "reliability": (reliability, self.curves.reliability, "reliability"),
            "risk-coverage": (risk_coverage, self.curves.risk_coverage, "risk and coverage"),
        }
        return {
            stem: draw(
                {heading: dict(list(methods.items())[:most]) for heading, methods in panels[dataset].items()},
                f"{self.board.title}: {words}, {over}",
                miniature=self.board.miniature,
                width=width,
            )
            for stem, (draw, panels, words) in made.items()
            if (not stems or stem in stems) and panels.get(dataset)
        }

    def figures(self, *formats: Format, stems: Sequence[str] = (), width: float | None = None) -> dict[str, bytes]:
        """Draw the plots.

        Args:
            formats: The formats of the files.
            stems: As in `drawn`.
            width: Their width in inches; None: that of a page.

        Returns:
            The files by name, such as "plane.svg".
        """
        return {
            f"{stem}.{format}": rendered(figure, format)
            for stem, figure in self.drawn(stems, width=width).items()
            for format in formats
        }

    def inline_figures(self, stems: Sequence[str], places: Mapping[str, int], most: int) -> dict[str, str]:
        """Draw figures as markup for the page, in which each method can be hidden.

        Args:
            stems: The names of the figures, without ending; those that the results do not allow are left out.
            places: The number by which the page knows each label.
            most: As in `drawn`.

        Returns:
            The SVG elements by name.
        """
        drawn = self.drawn(stems, most=most)
        return {stem: inline(figure, f"{self.protocol}-{stem}", places) for stem, figure in drawn.items()}


class Selection(TypedDict, total=False):
    """Which results to show.

    Args:
        protocols: The protocols to show; default: all that have results.
        methods: The rows to show, by the method's name or label; default: all.
        labels: The expected rows, so that missing ones show.
        seeds: The expected seeds, so that missing ones show.
        datasets: The columns to show; default: the datasets that have results, and a note names the others.
        shots: The columns of the few-shot protocol, in training images per class; default: the suite's.
        published: Published figures; each leaderboard is followed by a board of distances to them. Default: none.
        reference: The label of a method that the others are compared with, in the protocols in which it has results.
        boards: The boards to make from predictions (see `BOARDS`); default: none.
        predictions: Gives the predictions, as for `answered_of`.
    """

    protocols: Sequence[Protocol]
    methods: Sequence[str]
    labels: Sequence[Label]
    seeds: Sequence[int]
    datasets: Sequence[str]
    shots: Sequence[int]
    published: "pd.DataFrame | None"
    reference: str
    boards: Sequence[str]
    predictions: Source


def sections_of(layout: SuiteLayout, results: Sequence[StoredResult], **selection: Unpack[Selection]) -> list[Section]:
    """Build the leaderboards of a suite, each with its statistics and the distances to published figures.

    Args:
        layout: The suite's datasets and titles.
        results: Recorded results of this suite.
        selection: See `Selection`.

    Returns:
        The sections, in the order of the protocols. A protocol for which the suite has no dataset has none, and
        `left_out` names it.

    Raises:
        UserError: A method has no results, or runs must not be mixed (see `unmixed`).
    """
    methods, protocols = selection.get("methods", ()), selection.get("protocols", ())
    frame = tidy(of_methods(methods, results) if methods and results else results)
    read = {result.name: dict.fromkeys(score.reading for score in result.scores) for result in results}
    labels = [
        replace(label, reading=reading)
        for label in selection.get("labels", ())
        for reading in {"": None} | read.get(label, {})
    ]
    seeds, few = selection.get("seeds", ()), selection.get("shots", ()) or layout.few_shot_shots
    reference, published = selection.get("reference", ""), selection.get("published")
    queries = []
    for protocol in protocols or [protocol for protocol in PROTOCOLS if (frame["protocol"] == protocol).any()]:
        scored = [hole["target_dataset"] for hole in frame.attrs["holes"] if hole["protocol"] == protocol]
        scored += frame.loc[frame["protocol"] == protocol, "target_dataset"].unique().tolist()
        whole = layout.columns(protocol)
        shown = layout.columns(protocol, selection.get("datasets", ()) or scored)
        queries.append(
            BoardQuery(
                frame,
                protocol,
                shown,
                labels,
                seeds,
                few,
                reference or ZERO_SHOT,
                [title for name, title in whole if (name, title) not in shown],
                sorted({*scored} - {name for name, _ in whole}),
            )
        )
    boards, predictions = selection.get("boards", ()), selection.get("predictions", _none)
    made = [_section(layout, query, reference, published) for query in queries if query.datasets]
    return [_analysed(section, boards, predictions) for section in made] if boards else made


def left_out(
    layout: SuiteLayout,
    results: Sequence[StoredResult],
    protocols: Sequence[str] = (),
    methods: Sequence[str] = (),
) -> list[str]:
    """A line on each protocol that has results but no section, since their datasets have left the suite.

    Args:
        layout: The suite's datasets.
        results: Recorded results of this suite.
        protocols: The requested protocols; empty: all.
        methods: As in `Selection`.

    Returns:
        The lines, in the order of the protocols.

    Raises:
        UserError: A method has no results.
    """
    scored: dict[Protocol, set[str]] = {}
    for result in of_methods(methods, results) if methods and results else results:
        scored.setdefault(result.protocol, set()).update(score.target.dataset for score in result.scores)
    return [
        without_datasets(protocol, sorted(scored[protocol] - {name for name, _ in layout.columns(protocol)}))
        for protocol in PROTOCOLS
        if protocol in scored and protocol in (protocols or PROTOCOLS)
        if scored[protocol] and not layout.columns(protocol, sorted(scored[protocol]))
    ]


def _none(_run_id: str, _target: Target) -> Sequence[Predictions]:
    return ()


def _section(layout: SuiteLayout, query: BoardQuery, reference: str, published: "pd.DataFrame | None") -> Section:
    frame = query.frame
    scored = ((frame["protocol"] == query.protocol) & (frame["label"] == reference)).any()
    known = reference if scored else ""
    further = [statistics_board(query, reference=known)]
    if published is not None and protocol_info(query.protocol).published:
        further.append(distance_board(query, published, barred=layout.barred))
    return Section(query, tuple(further), reference=known)


def _analysed(section: Section, boards: Sequence[str], predictions: Source) -> Section:
    answered = answered_of(section.query, predictions)
    return replace(
        section,
        analysis=boards_from(answered, boards, section.reference),
        curves=curves_of(answered) if answered.by_place else None,
    )


def of_methods(methods: Sequence[str], results: Sequence[StoredResult]) -> list[StoredResult]:
    """The results of these methods, by name, label or family. Raises UserError for a method without results."""
    recorded = {result.method for result in results}
    methods = [name for given in methods for name in expanded([given], recorded) or [given]]
    known = {result.method for result in results} | {result.label for result in results}
    for name in methods:
        if name not in known:
            raise unknown("recorded method", name, known)
    return [result for result in results if result.method in methods or result.label in methods]
