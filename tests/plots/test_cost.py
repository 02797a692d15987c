"""Accuracy against cost."""

from figures_of import THREE, named

from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.plots.cost import cost


def test_a_method_that_trains_nothing_stands_left_of_all_others() -> None:
    frame = named(labels=["coop", "zeroshot"])
    idle = frame["label"] == "zeroshot"
    frame.loc[idle, "trainable_parameters"] = 0
    frame.loc[idle, "train_seconds"] = 1e-5
    parameters, seconds, memory = cost(BoardQuery(frame, "base-to-novel", THREE)).axes
    for axes, word in ((parameters, "0"), (seconds, "<0.01")):
        ticks = axes.get_xticklabels()
        assert ticks[0].get_text() == word
        assert min(line.get_xdata()[0] for line in axes.lines) == ticks[0].get_position()[0]
    assert memory.get_xscale() == "linear"
