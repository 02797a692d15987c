"""Textures."""

import numpy as np
import pytest
from miniature_options import options_of

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data.miniature import render as reader
from promptarena.benchmark.data.miniature import textures


def test_unknown_textures_and_digits_get_suggestions():
    with pytest.raises(UserError, match="did you mean striped"):
        reader.render(options_of("textures", concepts=["stripped", "dotted"]), "textures", "val")
    with pytest.raises(UserError, match="unknown digit 'ten'"):
        reader.render(options_of("digits", concepts=["one", "ten"]), "digits", "val")


@pytest.mark.parametrize("kind", range(len(textures.NAMES)))
def test_a_pattern_stays_in_range_and_varies(kind):
    masks = textures.paint(np.full(6, kind), np.random.default_rng(0), (3.0, 7.0), 30)
    assert masks.shape == (6, 48, 48)
    assert masks.min() >= 0
    assert masks.max() <= 1
    assert (masks.std(axis=(1, 2)) > 0.05).all()
    assert len({mask.tobytes() for mask in masks}) == 6
