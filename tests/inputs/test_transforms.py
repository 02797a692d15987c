"""Preprocessing is torchvision's: to the pixel in tests, in distribution in training."""

import math

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from promptarena.benchmark.core.keys import generator
from promptarena.benchmark.inputs import transforms as ours
from promptarena.benchmark.inputs.transforms import _crop_box, training_view
from promptarena.benchmark.inputs.views import View

BICUBIC = InterpolationMode.BICUBIC
SHAPES = [(24, 20), (20, 24), (16, 16), (9, 31), (40, 5)]


def drawing(width: int, height: int) -> Image.Image:
    return tiny.Drawings(["picture"], width, height).image(0)


@pytest.mark.parametrize(("width", "height"), SHAPES)
def test_the_test_view_is_torchvisions(width: int, height: int) -> None:
    expected = transforms.Compose([transforms.Resize(16, BICUBIC), transforms.CenterCrop(16)])
    picture = drawing(width, height)
    np.testing.assert_array_equal(np.asarray(ours.test_view(picture, 16)), np.asarray(expected(picture)))


@pytest.mark.parametrize(("width", "height"), SHAPES)
def test_pixels_are_normalised_as_torchvision_does(width: int, height: int) -> None:
    backbone, drawings = tiny.backbone(), tiny.Drawings(["picture"], width, height)
    steps = [
        transforms.Resize(16, BICUBIC),
        transforms.CenterCrop(16),
        transforms.ToTensor(),
        transforms.Normalize(backbone.mean, backbone.std),
    ]
    expected = transforms.Compose(steps)(drawings.image(0))
    torch.testing.assert_close(View(drawings, backbone, tiny.NO_CACHE).pixels([0])[0], expected, rtol=0, atol=0)


sides = st.integers(1, 300)
shares = st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)).map(lambda pair: (min(pair), max(pair)))


@given(sides, sides, shares, st.integers(0, 2**32))
def test_a_crop_lies_within_the_picture(width: int, height: int, scale: tuple[float, float], seed: int) -> None:
    top, left, h, w = _crop_box(width, height, scale, generator(seed))
    assert top >= 0
    assert left >= 0
    assert 0 < h <= height - top
    assert 0 < w <= width - left


@given(st.integers(0, 2**32))
@settings(max_examples=50)
def test_area_and_aspect_keep_their_bounds(seed: int) -> None:
    _, _, h, w = _crop_box(400, 300, (0.2, 0.5), generator(seed))
    assert 0.2 * 0.99 <= w * h / (400 * 300) <= 0.5 * 1.01
    assert 3 / 4 * 0.99 <= w / h <= 4 / 3 * 1.01


@pytest.mark.parametrize(("width", "height"), [(100, 75), (60, 120)])
def test_crops_are_distributed_as_torchvisions(width: int, height: int) -> None:
    """Means and spreads of 2000 boxes each; the limit is four standard errors of their difference."""
    picture, count = drawing(width, height), 2000
    torch.manual_seed(0)
    theirs = np.array(
        [transforms.RandomResizedCrop.get_params(picture, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(count)],
        dtype=float,
    )
    random = generator("distribution")
    mine = np.array([_crop_box(width, height, (0.08, 1.0), random) for _ in range(count)], dtype=float)
    for column in range(4):
        a, b = theirs[:, column], mine[:, column]
        assert abs(a.mean() - b.mean()) <= 4 * math.sqrt((a.var() + b.var()) / count)
        assert abs(a.std() / b.std() - 1) <= 0.15


@pytest.mark.parametrize(("width", "height"), [(300, 10), (10, 300)])
def test_a_picture_too_narrow_for_any_crop_gives_torchvisions_central_one(width: int, height: int) -> None:
    expected = transforms.RandomResizedCrop.get_params(drawing(width, height), [1.0, 1.0], [3 / 4, 4 / 3])
    assert _crop_box(width, height, (1.0, 1.0), generator(0)) == tuple(expected)


def test_half_of_the_training_views_are_flipped() -> None:
    picture = drawing(16, 16)
    plain, flipped = np.asarray(picture), np.asarray(picture)[:, ::-1]
    seen = [np.asarray(training_view(picture, 16, (1.0, 1.0), generator(seed))) for seed in range(200)]
    whole = [view for view in seen if np.array_equal(view, plain) or np.array_equal(view, flipped)]
    share = np.mean([np.array_equal(view, flipped) for view in whole])
    assert len(whole) > 5
    assert all(view.shape == (16, 16, 3) for view in seen)
    assert 0.2 < share < 0.8
