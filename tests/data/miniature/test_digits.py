"""Handwritten digits."""

import pytest
from miniature_options import options_of

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data.miniature import digits
from promptarena.benchmark.data.miniature import render as reader


def test_handwritten_specimens_are_not_shared_between_splits():
    ranges = [set(places) for places in reader._SPECIMENS.values()]
    assert sum(map(len, ranges)) == len(set.union(*ranges)) == 174
    sprites = {digits.handwritten(3, place).tobytes() for place in range(174)}
    assert len(sprites) == 174


def test_too_many_handwritten_digits_are_refused():
    with pytest.raises(UserError, match="64 handwritten test specimens"):
        reader.render(options_of("digits", per_class={"test": 65}), "digits", "test")
