"""Pairs of classes that a method repairs or breaks."""

from dataclasses import replace

import numpy as np
import pytest
from drawn_predictions import drawn, of_logits
from score_frames import frame_of
from sklearn.metrics import confusion_matrix

from promptarena.benchmark.analysis.boards import answered_of
from promptarena.benchmark.analysis.confusions import Confusion, confusion_matrices, repaired_and_broken
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.predictions import Predictions
from promptarena.benchmark.leaderboard.build import BoardQuery

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


def test_a_matrix_is_the_mean_over_seeds_of_the_shares_of_each_class() -> None:
    rows = [
        (label, dataset, seed, {"base": 70.0, "novel": 60.0})
        for label in ("coop", "maple")
        for dataset in ("birds", "cars")
        for seed in (1, 2)
    ]
    query = BoardQuery(frame_of(rows, "base-to-novel"), "base-to-novel", [("birds", "Birds"), ("cars", "Cars")])
    seed_of = {row["run_id"]: int(row["seed"]) for row in query.frame.to_dict("records")}
    asked = []

    def source(run_id, target):  # type: ignore[no-untyped-def]
        asked.append((run_id, target))
        return [drawn(50, 7, seed=seed_of[run_id], dataset=target.dataset, subset=target.subset)]

    answered = answered_of(query, source, ("cars", "maple"))
    assert {target.dataset for _, target in asked} == {"cars"}, "only what is needed is read"
    assert len({run_id for run_id, _ in asked}) == 2
    found = confusion_matrices(answered, "cars", "maple")
    each = [drawn(50, 7, seed=seed) for seed in (1, 2)]
    shares = [100 * confusion_matrix(one.labels, one.top[:, 0], labels=range(7), normalize="true") for one in each]
    assert list(found) == ["Base classes", "Novel classes"]
    for matrix in found.values():
        assert matrix.classes == each[0].classes
        np.testing.assert_allclose(matrix.shares, np.mean(shares, axis=0), atol=1e-9)
    assert confusion_matrices(answered, "birds", "maple") == {}
