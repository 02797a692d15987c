"""Open-world scores: exact counts, checked against pairs written out and against scikit-learn."""

import numpy as np
import pytest
from drawn_predictions import drawn, of_logits
from sklearn.metrics import roc_auc_score

from promptarena.benchmark.core.open_world import base_score, half_points, union_scores
from promptarena.benchmark.core.predictions import Predictions

KINDS = {
    "drawn": lambda random, count: random.normal(size=count),
    "ties": lambda random, count: random.integers(0, 3, count).astype(float),
    "constant": lambda random, count: np.zeros(count),
    "infinite": lambda random, count: random.choice([-np.inf, 0.0, np.inf], count),
}


@pytest.mark.parametrize("sizes", [(1, 1), (7, 3), (30, 40)])
@pytest.mark.parametrize("kind", KINDS)
def test_half_points_are_those_of_all_pairs(kind: str, sizes: tuple[int, int]) -> None:
    random = np.random.default_rng(sum(sizes))
    base, novel = (KINDS[kind](random, count) for count in sizes)
    assert half_points(base, novel) == sum(2 * (a > b) + (a == b) for a in base for b in novel)


def test_without_images_there_are_no_points() -> None:
    assert half_points(np.array([]), np.array([1.0])) == half_points(np.array([1.0]), np.array([])) == 0


def percent(found: Predictions) -> dict[str, float]:
    return {score.target.subset: 100 * sum(score.correct) / sum(score.total) for score in union_scores(found)}


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_every_figure_is_what_independent_code_gives(classes: int) -> None:
    split = (classes + 1) // 2
    found = drawn(300, classes, base=split, subset="union", skill=2.0)
    assert found.halves is not None
    is_base, right = found.labels < split, found.top[:, 0] == found.labels
    score, fine = base_score(found), found.halves.rank == 1
    pairs = [
        (float(a > b) + 0.5 * float(a == b)) * bool(p and q)
        for a, p in zip(score[is_base], fine[is_base], strict=True)
        for b, q in zip(score[~is_base], fine[~is_base], strict=True)
    ]
    assert percent(found) == pytest.approx(
        {
            "union": 100 * right.mean(),
            "union-base": 100 * right[is_base].mean(),
            "union-novel": 100 * right[~is_base].mean(),
            "union-auroc": 100 * roc_auc_score(is_base, score),
            "union-openworld-auc": 100 * np.mean(pairs),
        },
        abs=1e-9,
    )


def planted(own: float, other_half: float) -> Predictions:
    """Two base and two novel classes; the label has logit `own`, the classes of the other half have `other_half`."""
    labels = np.array([0, 1, 2, 3])
    logits = np.zeros((4, 4))
    for row, label in enumerate(labels):
        logits[row, [c for c in range(4) if (c < 2) != (label < 2)]] = other_half
        logits[row, label] = own
    return of_logits(logits, labels, base=2, subset="union")


def test_a_perfect_learner_has_100_of_everything() -> None:
    assert set(percent(planted(own=9.0, other_half=-9.0)).values()) == {100.0}


def test_one_that_mistakes_every_half_has_0_though_it_is_right_within_them() -> None:
    """Base images look like novel classes and the other way round."""
    assert set(percent(planted(own=1.0, other_half=9.0)).values()) == {0.0}


def test_a_constant_predictor_separates_nothing() -> None:
    found = of_logits(np.zeros((8, 4)), np.arange(8) % 4, base=2, subset="union")
    expected = {"union": 25.0, "union-base": 50.0, "union-novel": 0.0, "union-auroc": 50.0, "union-openworld-auc": 12.5}
    assert percent(found) == expected
