"""Curves over shots and epochs."""

import numpy as np
import pytest
from figures_of import THREE, learned, named, texts

from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.plots.curves import few_shot, learning
from promptarena.benchmark.statistics.scores import NoScoresError


def test_few_shot_curves_pass_through_the_leaderboards_figures() -> None:
    frame = named("few-shot", ["coop"])
    board = BoardQuery(frame, "few-shot", THREE, shots=(1, 4, 16)).board
    figure = few_shot(BoardQuery(frame, "few-shot", THREE, shots=(1, 4, 16)))
    for axes, table in zip(figure.axes, board.tables, strict=False):
        (curve,) = [line for line in axes.lines if line.get_linestyle() != "None"]
        assert list(curve.get_ydata()) == [cell.value for cell in table.rows[0].cells]
        assert list(curve.get_xdata()) == pytest.approx([1, 4, 16], rel=0.12)
        assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "4", "16"]


def test_learning_curves_are_means_over_seeds() -> None:
    curves = learned(["coop"], epochs=3)
    figure = learning(curves, THREE, "train_accuracy")
    assert [axes.get_title() for axes in figure.axes] == [title for _, title in THREE]
    (line, *_) = figure.axes[0].lines
    assert list(line.get_ydata()) == [50.0, 50.0, 50.0]
    (loss, *_) = learning(curves, THREE).axes[0].lines
    means = curves[curves["dataset"] == "d0"].groupby("epoch")["loss"].mean()
    assert list(loss.get_ydata()) == pytest.approx(list(means))


def test_curves_without_the_quantity_are_left_out() -> None:
    curves = learned(["coop", "zeroshot"])
    curves.loc[curves["label"] == "zeroshot", "train_accuracy"] = np.nan
    assert "zeroshot" not in texts(learning(curves, THREE, "train_accuracy"))
    with pytest.raises(NoScoresError, match="no learning curve has a loss"):
        learning(curves.assign(loss=np.nan), THREE)
