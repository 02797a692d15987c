"""All figures that a protocol's results allow."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from promptarena.benchmark.core.protocol_table import Protocol, protocol_info
from promptarena.benchmark.leaderboard.build import FEW_SHOTS
from promptarena.benchmark.leaderboard.selection import Titled
from promptarena.benchmark.plots.bars import bars, gains
from promptarena.benchmark.plots.base_novel_plane import plane
from promptarena.benchmark.plots.cost import cost
from promptarena.benchmark.plots.critical_difference import critical_difference
from promptarena.benchmark.plots.curves import few_shot
from promptarena.benchmark.statistics.scores import NoScoresError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def every_figure(
    frame: "pd.DataFrame",
    protocol: Protocol,
    datasets: Titled,
    *,
    labels: Sequence[str] = (),
    seeds: Sequence[int] = (),
    shots: Sequence[int] = FEW_SHOTS,
    reference: str = "",
) -> "dict[str, Figure]":
    """The figures by stem ("bars", "cost", ...) that have something to show; "gains" only with a `reference` that has
    results.

    Arguments and errors are those of `leaderboard`.
    """
    info = protocol_info(protocol)
    if info.by_shots:
        frame = frame[frame["shots"].isin(list(shots))]
    makers: dict[str, Callable[[], Figure]] = {
        "bars": lambda: bars(frame, protocol, datasets, labels=labels, seeds=seeds, shots=shots),
        "cost": lambda: cost(frame, protocol, datasets, labels=labels, seeds=seeds, shots=shots),
        "critical-difference": lambda: critical_difference(frame, protocol, datasets, labels=labels, seeds=seeds),
    }
    if {"base", "novel"} <= set(info.metrics):
        makers["plane"] = lambda: plane(frame, protocol, datasets, labels=labels, seeds=seeds)
    if info.by_shots:
        makers[protocol] = lambda: few_shot(frame, protocol, datasets, labels=labels, seeds=seeds, shots=shots)
    if reference:
        makers["gains"] = lambda: gains(frame, protocol, datasets, reference, labels=labels, seeds=seeds)
    drawn = {}
    for stem, make in makers.items():
        try:
            drawn[stem] = make()
        except NoScoresError:
            continue
    return drawn
