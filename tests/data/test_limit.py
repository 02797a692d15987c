"""A limit on the test images: few of them, spread over the classes, and never under the key of all of them."""

import numpy as np
import pytest
import worlds
from hypothesis import given
from hypothesis import strategies as st

from promptarena.benchmark.backbone.weight_origins import Weights
from promptarena.benchmark.core.runs import RunSpec, Target
from promptarena.benchmark.core.subsets import subset_labels
from promptarena.benchmark.data.data_manager import Data
from promptarena.benchmark.planning.plan import Planner
from promptarena.benchmark.planning.suites import Suite
from promptarena.benchmark.plugins.registry import load_registry


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    return worlds.suite(tmp_path_factory.mktemp("world"))


def listed(limit: int | None) -> Data:
    data = worlds.Listed()
    data._limit = limit
    return data


@given(limit=st.integers(2, 40))
def test_as_many_images_as_allowed_from_both_halves(suite: Suite, limit: int) -> None:
    card = suite.card("birds")
    everything, some = listed(None).test(card), listed(limit).test(card)
    assert len(some.labels) == len(some.images) == min(limit, len(everything.labels))
    assert len({some.images.key(row) for row in range(len(some.images))}) == len(some.images)
    for half in ("base", "novel"):
        assert set(some.labels.tolist()) & set(subset_labels(half, len(worlds.NAMES)))
    counts = np.bincount(some.labels, minlength=len(worlds.NAMES))
    assert counts.max() - counts.min() <= 1


def test_a_limit_changes_the_key_where_it_cuts_and_nothing_of_the_training(suite: Suite) -> None:
    spec = RunSpec("world", "few-shot", "coop", "birds", "all", 4, 1, (Target("birds", "all"),))
    registry, weights = load_registry(), Weights("digest", "local file clip.pt")
    full, cut, loose = (Planner(suite, registry, listed(limit), weights, "fp32").plan(spec) for limit in (None, 8, 32))
    assert full.train_key == cut.train_key == loose.train_key
    assert full.key == loose.key != cut.key
