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
        assert (
            min(line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 1) == ticks[0].get_position()[0]
        )
    assert memory.get_xlabel() == "Peak memory above zeroshot in MiB"


def test_memory_is_what_a_method_adds_to_the_reference() -> None:
    frame = named(labels=["coop", "zeroshot", "maple"])
    for label, memory in (("zeroshot", 900.0), ("coop", 1000.0), ("maple", 1900.0)):
        frame.loc[frame["label"] == label, "peak_memory_mib"] = memory
    (_, _, axes) = cost(BoardQuery(frame, "base-to-novel", THREE)).axes
    spots = {float(line.get_xdata()[0]) for line in axes.lines if len(line.get_xdata()) == 1}
    assert {100.0, 1000.0} < spots
    frame = frame[frame["label"] != "zeroshot"]
    (_, _, axes) = cost(BoardQuery(frame, "base-to-novel", THREE)).axes
    assert axes.get_xlabel() == "Peak memory in MiB"
    assert {1000.0, 1900.0} == {float(line.get_xdata()[0]) for line in axes.lines if len(line.get_xdata()) == 1}
