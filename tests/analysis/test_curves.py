"""Reliability diagrams and risk-coverage curves, against loops over images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from drawn_predictions import drawn, of_logits
from score_frames import frame_of

from promptarena.benchmark.analysis.boards import answered_of
from promptarena.benchmark.analysis.calibration import BINS, calibration_error
from promptarena.benchmark.analysis.curves import COVERAGES, LEAST_SHARE, bin_shares, curves_of, risks_at
from promptarena.benchmark.analysis.subjects import confidence
from promptarena.benchmark.core.predictions import Predictions
from promptarena.benchmark.core.runs import Target
from promptarena.benchmark.leaderboard.build import BoardQuery

DATASETS = [("birds", "Birds"), ("cars", "Cars")]
SEEDS = (1, 2)
SIZES = {"birds": 90, "cars": 40}


def found_of(dataset: str, subset: Any, seed: int) -> Predictions:
    return drawn(SIZES[dataset], 6, seed=seed, dataset=dataset, subset=subset)


def answered(*, lacking: tuple[str, int] | None = None) -> Any:
    rows = [
        (label, dataset, seed, {"base": 70.0, "novel": 60.0})
        for label in ("coop", "maple")
        for dataset, _ in DATASETS
        for seed in SEEDS
    ]
    query = BoardQuery(frame_of(rows, "base-to-novel"), "base-to-novel", DATASETS)
    runs = {row["run_id"]: row for row in query.frame.to_dict("records")}

    def source(run_id: str, target: Target) -> Sequence[Predictions]:
        row = runs[run_id]
        if row["label"] == "maple" and (target.dataset, row["seed"]) == lacking:
            return ()
        return [found_of(target.dataset, target.subset, int(row["seed"]))]

    return answered_of(query, source)


def by_loop(found: Predictions) -> tuple[list[list[float]], list[float]]:
    """The images, summed probabilities and right answers of each bin, and the risks."""
    sure = np.exp(found.logits[:, 0].astype(float) - found.log_sum_exp).tolist()
    right = (found.rank == 1).tolist()
    bins = [[0.0, 0.0, 0.0] for _ in range(BINS)]
    for p, hit in zip(sure, right, strict=True):
        (place,) = [k for k in range(BINS) if k / BINS < p <= (k + 1) / BINS]
        for at, value in enumerate((1, p, hit)):
            bins[place][at] += value / len(sure)
    order = sorted(range(len(sure)), key=lambda image: -sure[image])
    risks = []
    for part in range(1, 21):
        kept = -(-len(sure) * part // 20)
        risks.append(sum(not right[image] for image in order[:kept]) / kept)
    return bins, risks


@pytest.mark.parametrize("images", [7, 20, 203])
def test_a_run_is_summed_as_by_a_loop(images: int) -> None:
    found = drawn(images, 8, seed=images)
    bins, risks = by_loop(found)
    np.testing.assert_allclose(bin_shares(found).T, bins, atol=1e-12)
    np.testing.assert_allclose(risks_at(found), risks, atol=1e-12)
    _, sure, right = bin_shares(found)
    assert np.abs(right - sure).sum() == pytest.approx(calibration_error(confidence(found), found.right), abs=1e-12)


def test_the_average_gives_each_dataset_and_seed_the_same_weight() -> None:
    curves = curves_of(answered())
    assert list(curves.reliability) == ["", "birds", "cars"]
    assert list(curves.reliability[""]) == ["Base classes", "Novel classes"]
    each = {name: [by_loop(found_of(name, "base", seed)) for seed in SEEDS] for name, _ in DATASETS}
    for dataset in ("", "birds", "cars"):
        runs = [run for name, found in each.items() if dataset in ("", name) for run in found]
        bins = np.mean([run[0] for run in runs], axis=0)
        expected = [(100 * sure / n, 100 * right / n) for n, sure, right in bins if n >= LEAST_SHARE]
        np.testing.assert_allclose(curves.reliability[dataset]["Base classes"]["coop"], expected, atol=1e-9)
        risks = 100 * np.mean([run[1] for run in runs], axis=0)
        expected = list(zip(100 * COVERAGES, risks, strict=True))
        np.testing.assert_allclose(curves.risk_coverage[dataset]["Base classes"]["coop"], expected, atol=1e-9)


def test_a_method_without_the_predictions_of_a_seed_has_no_curve_there_and_no_average() -> None:
    curves = curves_of(answered(lacking=("cars", 2)))
    for panels in (curves.reliability, curves.risk_coverage):
        assert [*panels["birds"]["Novel classes"]] == ["coop", "maple"]
        assert [*panels["cars"]["Novel classes"]] == ["coop"]
        assert [*panels[""]["Novel classes"]] == ["coop"]


def test_one_that_is_never_wrong_lies_at_the_top_and_has_no_risk() -> None:
    labels = np.arange(30) % 3
    found = of_logits(50.0 * np.eye(3)[labels], labels)
    images, sure, right = bin_shares(found)
    assert images[-1] == sure[-1] == right[-1] == 1
    assert risks_at(found).tolist() == [0.0] * 20
