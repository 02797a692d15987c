"""All plots that the results of a protocol allow."""

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from promptarena.benchmark.core.errors import UserError
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

_LEAST, _MOST = 2.5, 50.0
"""The widths that can be drawn, in inches."""


def every_figure(
    query: BoardQuery, *, reference: str = "", stems: Collection[str] = (), width: float | None = None
) -> "dict[str, Figure]":
    """Draw all plots that have something to show.

    Args:
        query: Which leaderboard.
        reference: The label of a method to compare all others with; "gains" is drawn only if it has results.
        stems: The names of the plots to draw; empty: all.
        width: Their width in inches, such as `COLUMN`; None: that of a page.

    Returns:
        The plots by the name of their file without its ending ("bars", "cost", ...).

    Raises:
        UserError: As `leaderboard` does, or for a width that no page has.
    """
    if width is not None and not _LEAST <= width <= _MOST:
        raise UserError(f"the width of a figure is {_LEAST:g} to {_MOST:g} inches, got {width:g}")
    info = protocol_info(query.protocol)
    common: dict[str, Any] = {} if width is None else {"width": width}
    makers: dict[str, Callable[[], Figure]] = {
        "bars": lambda: bars(query, **common),
        "dots": lambda: dots(query, **common),
        "cost": lambda: cost(query, **common),
        "critical-difference": lambda: critical_difference(query, **common),
    }
    if {"base", "novel"} <= set(info.metrics):
        makers["plane"] = lambda: plane(query, **common)
    if info.by_shots:
        makers[query.protocol] = lambda: few_shot(query, **common)
        makers["average-curve"] = lambda: average_curve(query, **common)
    if reference:
        makers["gains"] = lambda: gains(query, reference, **common)
    drawn = {}
    for stem, make in makers.items():
        if stems and stem not in stems:
            continue
        try:
            drawn[stem] = make()
        except NoScoresError:
            continue
    return drawn
