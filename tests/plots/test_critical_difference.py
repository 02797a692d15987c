"""The critical difference diagram."""

from score_frames import DATASETS, frame_of

from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.plots.critical_difference import critical_difference


def test_the_diagram_puts_methods_at_their_ranks_and_joins_what_do_not_differ_significantly() -> None:
    rows = [
        (label, name, 1, {"all": float(value) + 0.01 * place})
        for place, (name, _) in enumerate(DATASETS)
        for label, value in (("good", 80), ("fair", 70 + (place % 2)), ("same", 70.5), ("poor", 50))
    ]
    figure = critical_difference(BoardQuery(frame_of(rows, "few-shot"), "few-shot", DATASETS))
    (axes,) = figure.axes
    (thick,) = [line for line in axes.lines if line.get_linewidth() == 3]
    ranks = {text.get_text().replace("  ", " ") for text in axes.texts}
    assert {"good 1.00", "4.00 poor"} <= ranks
    start, end = thick.get_xdata()
    ticks = {text.get_text(): text.get_position()[0] for text in axes.texts if text.get_text().isdigit()}
    assert ticks["2"] < start < end < ticks["3"] + 0.1
