"""Labels are known without drawing, and bad options are refused."""

import pytest

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data.miniature.options import labels_of, per_class, read_options

OPTIONS = {"kind": "textures", "concepts": ["dots", "lines"], "per_class": {"train": 3}}


def test_labels_follow_from_the_numbers_per_class() -> None:
    assert labels_of(OPTIONS, "d", "train").tolist() == [0, 0, 0, 1, 1, 1]
    assert per_class(read_options(OPTIONS, "d"), "d", "train") == 3


def test_a_missing_split_and_a_reversed_range_are_refused() -> None:
    with pytest.raises(UserError, match="has no test split; it has train"):
        labels_of(OPTIONS, "d", "test")
    with pytest.raises(UserError, match="scale must be a range"):
        read_options({**OPTIONS, "knobs": {"scale": [1.0, 0.5]}}, "d")
