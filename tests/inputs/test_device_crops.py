"""Crops that the device resizes: the same parts of the images as Pillow's crops, with almost the same pixels."""

from pathlib import Path

import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from promptarena.benchmark.core.recipe import ON_DEVICE
from promptarena.benchmark.inputs import views
from promptarena.benchmark.inputs.device_crops import resized
from promptarena.benchmark.inputs.prefetch import read_ahead
from promptarena.benchmark.inputs.transforms import Augmentation
from promptarena.benchmark.inputs.views import View

KEYS = list("abcdefgh")


def crops(kind: str, seed: int = 1, epoch: int = 1, number: int = 1) -> Augmentation:
    return Augmentation(seed, epoch, (0.08, 1.0), kind, number)


def pixels(kind: str, rows: range = range(8), **drawn: int) -> torch.Tensor:
    """Between 0 and 255."""
    backbone = tiny.backbone()
    mean, std = backbone.colours
    view = View(tiny.Drawings(KEYS, 24, 20), backbone, tiny.NO_CACHE, crops(kind, **drawn))
    return (view.pixels(rows) * std + mean) * 255


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), number=st.sampled_from([1, 2]))
def test_they_are_pillows_but_for_rounding(seed: int, number: int) -> None:
    ours, pillows = pixels(ON_DEVICE, seed=seed, number=number), pixels("crop", seed=seed, number=number)
    assert ours.shape == pillows.shape
    differences = (ours - pillows).abs()
    assert float(differences.mean()) < 0.5  # another crop: 70
    assert float((differences > 1.5).float().mean()) < 0.05  # at the borders of crops that are hardly reduced


def test_they_are_whole_numbers() -> None:
    view = View(tiny.Drawings(KEYS), tiny.backbone(), tiny.NO_CACHE, crops(ON_DEVICE))
    found = resized(view.decoded(range(8)), 16, torch.from_numpy)  # type: ignore[arg-type]
    assert found.dtype == torch.float32
    assert torch.equal(found, found.round())
    assert 0 <= float(found.min()) < float(found.max()) <= 255
    assert resized([], 16, torch.from_numpy).shape == (0, 3, 16, 16)


def test_an_image_is_the_same_in_every_batch_and_another_in_every_epoch() -> None:
    whole = pixels(ON_DEVICE)
    assert torch.equal(pixels(ON_DEVICE, range(2, 5)), whole[2:5])
    assert not torch.equal(pixels(ON_DEVICE, epoch=2), whole)


def test_features_are_kept_apart_from_those_of_pillows_crops(tmp_path: Path) -> None:
    cache, drawings = tiny.cache(tmp_path), tiny.Drawings(KEYS)
    one, two, again = (
        View(drawings, tiny.backbone(), cache, crops(kind)).features(range(8))
        for kind in (ON_DEVICE, "crop", ON_DEVICE)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, two)
    assert float((one - two).abs().max()) < 0.1


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_threads_read_ahead(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "reading_threads", lambda device: threads)
    drawings = tiny.Drawings(KEYS)
    view = View(drawings, tiny.backbone(), tiny.NO_CACHE, crops(ON_DEVICE))
    steps = [[0, 1, 2], [3, 4], [5, 6, 7], [1]]
    found = [batch.pixels for batch in read_ahead(view, steps, threads)]
    for shown, rows in zip(found, steps, strict=True):
        assert torch.equal(shown, view.pixels(rows))


def test_a_crop_does_not_hold_the_whole_image() -> None:
    view = View(tiny.Drawings(KEYS, 240, 200), tiny.backbone(), tiny.NO_CACHE, crops(ON_DEVICE))
    for crop in view.decoded(range(8)):
        assert crop.pixels.base is None  # type: ignore[union-attr]
