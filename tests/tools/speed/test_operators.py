"""A training step dispatches no more operators than the committed table says."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from tools.speed import operators
from tools.speed.world import METHODS, World

ROOT = Path(__file__).parents[3]
SLACK = 1.03
"""torch's versions differ by a few operators."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    path = tmp_path_factory.mktemp("model") / "narrow.json"
    path.write_text(json.dumps(operators.ARCHITECTURE))
    return World(path)


@pytest.fixture(scope="module")
def committed() -> Any:
    return pd.read_csv(ROOT / "results" / "speed" / "operators.csv").set_index("method")


@pytest.mark.parametrize("precision", operators.PRECISIONS)
@pytest.mark.parametrize("method", METHODS)
def test_a_step_has_no_more_operators_than_before(method: str, precision: Any, world: World, committed: Any) -> None:
    found = operators.count(world, method, precision)
    launched = operators.launches(world, method, precision)
    assert launched < found.kernels / 3
    for what, number in (found._asdict() | {"launches with graphs": launched}).items():
        assert number <= SLACK * committed.loc[method, f"{what}, {precision}"], what


def test_views_launch_no_kernel() -> None:
    with operators._Counted() as counted:
        (torch.ones(4, 2).view(2, 4).t()[:1] + 1).expand(4, 2)
    assert set(counted.names) >= {"view", "t", "slice", "expand", "add"}
    assert {name for name in counted.names if name not in operators.NO_KERNEL} == {"ones", "add"}
