"""Pairs of classes that a method repairs or breaks."""

from dataclasses import replace

import numpy as np
import pytest
from drawn_predictions import drawn, of_logits

from promptarena.benchmark.analysis.confusions import Confusion, repaired_and_broken
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.predictions import Predictions

NAMES = ("cat", "dog", "fox")


def predicted(classes: list[int], labels: list[int]) -> Predictions:
    found = of_logits(np.eye(3)[classes], np.array(labels))
    return replace(found, classes=NAMES)


def test_the_most_frequent_pair_comes_first() -> None:
    labels = [0, 0, 0, 1, 1, 2, 2]
    method = predicted([0, 0, 0, 0, 1, 2, 1], labels)
    reference = predicted([1, 1, 2, 1, 0, 0, 2], labels)
    repaired, broken = repaired_and_broken(method, reference)
    assert repaired == [
        Confusion("cat", "dog", 2),
        Confusion("cat", "fox", 1),
        Confusion("dog", "cat", 1),
        Confusion("fox", "cat", 1),
    ]
    assert broken == [Confusion("dog", "cat", 1), Confusion("fox", "dog", 1)]
    assert repaired_and_broken(reference, method) == (broken, repaired)
    assert repaired_and_broken(method, method) == ([], [])


def test_all_pairs_together_are_the_images_on_which_one_is_right() -> None:
    one = drawn(200, 6)
    other = replace(drawn(200, 6, seed=2), labels=one.labels, images=one.images)
    other = replace(other, rank=np.where(other.top[:, 0] == one.labels, 1, 2).astype(np.int32))
    right, theirs = one.top[:, 0] == one.labels, other.top[:, 0] == one.labels
    repaired, broken = repaired_and_broken(one, other)
    assert sum(each.count for each in repaired) == (right & ~theirs).sum() > 0
    assert sum(each.count for each in broken) == (theirs & ~right).sum() > 0
    matrix = np.zeros((6, 6), dtype=int)
    np.add.at(matrix, (one.labels[right & ~theirs], other.top[right & ~theirs, 0]), 1)
    classes = list(one.classes)
    assert {(classes.index(each.label), classes.index(each.predicted)): each.count for each in repaired} == {
        (row, column): matrix[row, column] for row, column in zip(*matrix.nonzero(), strict=True)
    }


def test_different_images_are_refused() -> None:
    one = drawn(20, 4)
    with pytest.raises(UserError, match="of different images"):
        repaired_and_broken(one, replace(one, images=one.images[::-1]))
