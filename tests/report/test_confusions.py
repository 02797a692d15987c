"""The confusion matrix of a method on a dataset, on demand."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from drawn_predictions import drawn
from score_frames import frame_of

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.predictions import Predictions
from promptarena.benchmark.core.runs import Target
from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.report.confusions import confusion_of
from promptarena.benchmark.report.sections import Section

DATASETS = [("birds", "Birds"), ("cars", "Cars")]


def section() -> Section:
    rows = [(label, name, 1, {"base": 70.0, "novel": 60.0}) for label in ("coop", "maple") for name, _ in DATASETS]
    return Section(BoardQuery(frame_of(rows, "base-to-novel"), "base-to-novel", DATASETS))


def source(classes: int = 6) -> Any:
    def found(_run_id: str, target: Target) -> Sequence[Predictions]:
        return [drawn(60, classes, dataset=target.dataset, subset=target.subset)]

    return found


def test_it_shows_the_method_s_own_predictions() -> None:
    figure = confusion_of(section(), source(), "cars", "coop")
    assert "coop on Cars" in figure.get_suptitle()
    kept = drawn(60, 6)
    for axes in figure.axes:
        shares = np.asarray(axes.images[0].get_array())
        assert shares.sum(axis=1) == pytest.approx(np.full(6, 100.0))
        assert np.diag(shares).mean() == pytest.approx(100 * kept.right.mean())


@pytest.mark.parametrize(
    ("dataset", "method", "message"),
    [("car", "coop", "unknown dataset .*'car'"), ("cars", "cop", "unknown method .*'cop'")],
)
def test_unknown_names_are_refused(dataset: str, method: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        confusion_of(section(), source(), dataset, method)


def test_without_predictions_and_with_too_many_classes_it_says_so() -> None:
    with pytest.raises(UserError, match="keep no predictions; run: promptarena predictions"):
        confusion_of(section(), lambda _run_id, _target: (), "cars", "coop")
    with pytest.raises(UserError, match="at most 100 classes, not for 120"):
        confusion_of(section(), source(120), "cars", "coop")
