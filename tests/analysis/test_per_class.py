"""Classes one by one."""

import numpy as np
import pytest
from drawn_predictions import of_logits

from promptarena.benchmark.analysis.per_class import PER_CLASS, class_accuracies, worst_tenth


def test_the_worst_tenth_is_of_classes_with_images() -> None:
    assert worst_tenth(np.array([1.0, 0.5, 0.25])) == 0.25
    assert worst_tenth(np.r_[np.ones(18), 0.2, 0.4]) == pytest.approx(0.3)
    labels = np.array([0, 0, 2])
    found = of_logits(np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]), labels)
    np.testing.assert_array_equal(class_accuracies(found), [0.5, 1.0])
    assert PER_CLASS.measure(found) == pytest.approx((200 / 3, 75.0, 50.0))
