"""Inputs of a step by name: noted where they are asked for, and given as computed before."""

import pytest
import tiny
import torch

from promptarena.benchmark.inputs.pixel_batch import PixelBatch
from promptarena.benchmark.training.given_inputs import asked_of, given, noting, together

NAMES = ["pixels", "features", "tokens 2", "second pixels", "second features", "second tokens 1"]


def batch(seed: int) -> PixelBatch:
    one, other = (tiny.pixels(3, seed=seed + part) for part in (0, 100))
    return PixelBatch(one, tiny.backbone(), PixelBatch(other, tiny.backbone()))


def test_what_is_asked_for_is_noted_once_and_given_again() -> None:
    asked: list[str] = []
    noted = noting(batch(1), asked)
    found = {what: asked_of(noted, what) for what in [*NAMES, *NAMES]}
    assert asked == NAMES
    assert len(noted) == 3
    for what, tensor in found.items():
        assert torch.equal(tensor, asked_of(batch(1), what))
        again = given(found, 3)
        asked_of(again, what).zero_()
        assert torch.equal(asked_of(again, what), tensor), "a method that changes its copy changes nobody else's"
    assert not torch.equal(found["pixels"], found["second pixels"])


def test_an_input_that_was_not_computed_is_an_error() -> None:
    with pytest.raises(KeyError, match="features"):
        _ = given({"pixels": tiny.pixels(3)}, 3).features


def test_batches_together_have_a_first_dimension() -> None:
    batches = [batch(1), batch(2)]
    both = together(batches)
    assert len(both) == 3
    for what in NAMES:
        assert torch.equal(asked_of(both, what), torch.stack([asked_of(each, what) for each in batches]))
