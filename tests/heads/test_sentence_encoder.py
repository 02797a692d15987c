"""The sentence encoder: found in the package of its default, or one line says what to do."""

import numpy as np
import pytest

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.heads import sentence_encoder
from promptarena.benchmark.heads.sentence_encoder import open_encoder


def test_the_default_places_like_sentences_near_each_other() -> None:
    encoder = open_encoder()
    red, crimson, square = encoder.encode(["a red thing", "a crimson thing", "the shape of a square"])
    assert red @ crimson > red @ square
    assert red.dtype == np.float64
    assert (encoder.name, len(encoder.digest)) == (sentence_encoder.DEFAULT, 64)


def test_without_the_package_and_a_network_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable() -> None:
        raise OSError("it is not on this machine, and the hub cannot be reached")

    monkeypatch.setattr(sentence_encoder, "_reach_hub", unreachable)
    with pytest.raises(UserError, match=r"no sentence encoder 'no-such-encoder' .*pip install") as caught:
        open_encoder("no-such-encoder")
    assert "\n" not in str(caught.value)
