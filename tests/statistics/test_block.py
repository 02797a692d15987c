"""The scores that many methods have in common."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptarena.benchmark.statistics.block import complete_block
from promptarena.benchmark.statistics.scores import NoScoresError, Scores

DATASETS = (("d0", "Data 0"), ("d1", "Data 1"), ("d2", "Data 2"))


def scores(cells: dict[str, dict[str, Any]], protocol: Any = "few-shot") -> Scores:
    made = {
        label: {name: dict.fromkeys([None] if seeds is None else seeds, (70.0,)) for name, seeds in of.items()}
        for label, of in cells.items()
    }
    return Scores(protocol, "accuracy", DATASETS, made)


everywhere = dict.fromkeys(("d0", "d1", "d2"), (1, 2))


def test_one_with_less_than_the_others_is_left_out_by_name() -> None:
    block = complete_block(scores({"a": everywhere, "b": everywhere, "c": {"d0": (1, 2)}}))
    assert (block.labels, block.sizes) == (("a", "b"), (2, 2, 2))
    assert block.left_out == ("c: lacks scores on 2 of 3 datasets",)


def test_a_dataset_that_half_of_the_methods_lack_is_left_out() -> None:
    some = {"d0": (1, 2), "d1": (1, 2)}
    block = complete_block(scores({"a": everywhere, "b": some}))
    assert block.datasets == ("Data 0", "Data 1")
    assert block.left_out == ("Data 2: at most half of the methods have them",)


def test_a_method_without_seeds_stands_in_every_cell() -> None:
    zeroshot: dict[str, Any] = dict.fromkeys(("d0", "d1", "d2"))
    block = complete_block(scores({"zeroshot": zeroshot, "a": everywhere}))
    assert block.labels == ("zeroshot", "a")
    assert block.values.shape == (6, 2, 1)


def test_in_transfer_a_seed_counts_only_where_all_datasets_have_it() -> None:
    cells = {"d0": (1, 2), "d1": (2, 3), "d2": (2,)}
    block = complete_block(scores({"a": cells, "b": cells}, "cross-dataset"))
    assert block.sizes == (1, 1, 1)
    assert block.one_training


def test_nothing_in_common_is_an_error() -> None:
    with pytest.raises(NoScoresError, match="few-shot"):
        complete_block(scores({"a": {"d0": (1,)}, "b": {"d1": (2,)}}))


@given(st.dictionaries(st.sampled_from("abcd"), st.sets(st.tuples(st.sampled_from(DATASETS), st.integers(1, 3)))))
def test_whatever_is_there_the_block_is_complete(drawn: dict[str, set[Any]]) -> None:
    cells: dict[str, dict[str, list[int]]] = {}
    for label, pairs in drawn.items():
        cells[label] = {}
        for (name, _), seed in pairs:
            cells[label].setdefault(name, []).append(seed)
    try:
        block = complete_block(scores(cells))
    except NoScoresError:
        return
    assert block.values.shape == (sum(block.sizes), len(block.labels), 1)
    assert np.isfinite(block.values).all()
    assert len(block.labels) + sum(":" in line and line.split(":")[0] in cells for line in block.left_out) == len(cells)
