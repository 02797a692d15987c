"""Scoring holds the logits of a part only, however many images there are."""

from pathlib import Path

import pytest
import torch

from tools import evaluation_memory
from tools.evaluation_memory import WIDTH, bound_mib, measured

ALLOCATOR = 30
"""MiB that the C library may hold besides."""


@pytest.mark.parametrize(("images", "classes"), [(6_000, 400), (20_000, 400), (3_000, 1000)])
def test_the_bound_holds(images: int, classes: int, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    mib, _ = measured(images, classes, tmp_path)
    mapped = 4 * WIDTH * images / 2**20
    assert mib < bound_mib(images, classes) + mapped + ALLOCATOR


def test_the_bound_grows_by_what_is_kept_of_an_image_and_not_by_its_logits() -> None:
    more = bound_mib(50_000, 1000) - bound_mib(10_000, 1000)
    assert more == pytest.approx(40_000 * evaluation_memory.KEPT_BYTES / 2**20)
    assert bound_mib(50_000, 1000) < 0.25 * 4 * 50_000 * 1000 / 2**20
