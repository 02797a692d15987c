"""What several boards need."""

import numpy as np
import pytest

from promptarena.benchmark.analysis.subjects import auroc, false_positives


def test_false_positives_count_ties_at_the_threshold() -> None:
    assert false_positives(np.array([1.0, 1.0, 2.0]), np.array([0.0, 1.0, 3.0, 0.5])) == 0.5
    assert false_positives(np.arange(100.0), np.array([4.9, 5.0, 5.1])) == pytest.approx(2 / 3)
    assert auroc(np.zeros(3), np.zeros(2)) == 0.5
