"""All plots that the results of a protocol allow."""

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from promptarena.benchmark.core.protocol_table import protocol_info
from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.plots.average_curve import average_curve
from promptarena.benchmark.plots.bars import bars, gains
from promptarena.benchmark.plots.base_novel_plane import plane
from promptarena.benchmark.plots.cost import cost
from promptarena.benchmark.plots.critical_difference import critical_difference
from promptarena.benchmark.plots.curves import few_shot
from promptarena.benchmark.plots.dots import dots
from promptarena.benchmark.statistics.scores import NoScoresError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def every_figure(query: BoardQuery, *, reference: str = "", stems: Collection[str] = ()) -> "dict[str, Figure]":
    """Draw all plots that have something to show.

    Args:
        query: Which leaderboard.
        reference: The label of a method to compare all others with; "gains" is drawn only if it has results.
        stems: The names of the plots to draw; empty: all.

    Returns:
        The plots by the name of their file without its ending ("bars", "cost", ...).

    Raises:
        UserError: As `leaderboard` does.
    """
    info = protocol_info(query.protocol)
    makers: dict[str, Callable[[], Figure]] = {
        "bars": lambda: bars(query),
        "dots": lambda: dots(query),
        "cost": lambda: cost(query),
        "critical-difference": lambda: critical_difference(query),
    }
    if {"base", "novel"} <= set(info.metrics):
        makers["plane"] = lambda: plane(query)
    if info.by_shots:
        makers[query.protocol] = lambda: few_shot(query)
        makers["average-curve"] = lambda: average_curve(query)
    if reference:
        makers["gains"] = lambda: gains(query, reference)
    drawn = {}
    for stem, make in makers.items():
        if stems and stem not in stems:
            continue
        try:
            drawn[stem] = make()
        except NoScoresError:
            continue
    return drawn
