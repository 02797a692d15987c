"""Image by image: what a method repairs and breaks, and the exact test of it."""

from dataclasses import replace

import numpy as np
import pytest
from drawn_predictions import drawn, of_logits
from statsmodels.stats.contingency_tables import mcnemar

from promptarena.benchmark.analysis.paired import Discordant, discordant
from promptarena.benchmark.core.errors import UserError


@pytest.mark.parametrize("counts", [(0, 0), (1, 0), (5, 5), (12, 3), (0, 40), (200, 150)])
def test_the_test_is_mcnemar_s_exact_one(counts: tuple[int, int]) -> None:
    repaired, broken = counts
    found = Discordant(repaired, broken)
    expected = mcnemar([[7, repaired], [broken, 9]], exact=True).pvalue if repaired + broken else 1.0
    assert found.p == pytest.approx(expected, abs=1e-12)
    assert found.p == Discordant(broken, repaired).p


def test_counts_are_of_images() -> None:
    labels = np.array([0, 0, 1, 1, 1])
    one = of_logits(np.eye(2)[[0, 1, 1, 0, 1]], labels)
    other = of_logits(np.eye(2)[[1, 1, 1, 1, 0]], labels)
    found = discordant(one, other)
    assert (found.repaired, found.broken) == (2, 1)
    assert discordant(one, one) == Discordant(0, 0)


def test_different_images_are_refused() -> None:
    one = drawn(20, 4)
    with pytest.raises(UserError, match="predictions for food/all are of different images"):
        discordant(one, replace(one, images=one.images[::-1]))
