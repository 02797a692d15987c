"""What does not fit into a device's memory is computed in halves, or refused in one line."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from promptarena.benchmark.inputs.out_of_memory import does_not_fit, in_halves


def bounded(most: int) -> tuple[list[int], object]:
    """How many rows were computed at a time, and what computes `most` rows at most."""
    sizes: list[int] = []

    def compute(rows: range) -> np.ndarray:
        if len(rows) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        sizes.append(len(rows))
        return np.asarray(rows)[:, None]

    return sizes, compute


@given(st.integers(0, 9), st.integers(0, 70), st.integers(1, 70))
def test_every_row_is_computed_once_and_in_its_place(start: int, count: int, most: int) -> None:
    sizes, compute = bounded(most)
    found = in_halves(compute, range(start, start + count))  # type: ignore[arg-type]
    assert found[:, 0].tolist() == list(range(start, start + count))
    assert sum(sizes) == count
    assert count > most or len(sizes) == 1


def test_a_single_row_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        in_halves(bounded(0)[1], range(5))  # type: ignore[arg-type]


def test_the_error_says_what_and_where_in_one_line() -> None:
    said = str(does_not_fit("a training step", torch.device("cuda", 1)))
    assert said.startswith("a training step does not fit into the memory of cuda:1; use ")
    assert "\n" not in said
