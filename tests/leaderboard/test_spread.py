"""The interval over seeds on data whose truth is known."""

import numpy as np
import pytest
from simulated_scores import near

from promptarena.benchmark.leaderboard.spread import spread


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_students_interval_over_seeds_holds_the_truth_19_times_of_20(seeds: int) -> None:
    drawn = np.random.default_rng(seeds).normal(size=(4000, seeds)).tolist()
    hits = sum(
        each.low <= 0 <= each.high for each in map(spread, drawn) if each.low is not None and each.high is not None
    )
    assert near(hits / 4000, 4000, 0.95, 0.95)
