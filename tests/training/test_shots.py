"""Batches of a training: each epoch is a permutation, drawn from seed and epoch."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from training_runs import RECIPE

from promptarena.benchmark.core.recipe import images_seen
from promptarena.benchmark.training.shots import batches


@given(st.integers(1, 200), st.integers(1, 50), st.integers(0, 9), st.integers(1, 9))
def test_an_epoch_is_a_permutation_without_its_remainder(count: int, size: int, seed: int, epoch: int) -> None:
    recipe = RECIPE.model_copy(update={"batch_size": size})
    steps = batches(count, recipe, seed, epoch)
    rows = np.concatenate(steps).tolist()
    assert len(steps) == max(1, count // size)
    assert len(rows) == len(set(rows)) == (count if count < size else count - count % size)
    assert set(rows) <= set(range(count))
    assert all(np.array_equal(*pair) for pair in zip(steps, batches(count, recipe, seed, epoch), strict=True))


@given(st.integers(1, 200), st.integers(1, 50), st.integers(0, 9))
def test_an_epoch_that_keeps_its_remainder_is_a_whole_permutation(count: int, size: int, seed: int) -> None:
    recipe = RECIPE.model_copy(update={"batch_size": size})
    steps = batches(count, recipe.model_copy(update={"drop_last": False}), seed, 1)
    assert sorted(np.concatenate(steps).tolist()) == list(range(count))
    assert [len(rows) for rows in steps[:-1]] == [size] * (len(steps) - 1)
    full = batches(count, recipe, seed, 1)
    assert all(np.array_equal(*pair) for pair in zip(full, steps, strict=False))


def test_batches_change_with_seed_and_epoch() -> None:
    orders = {np.concatenate(batches(50, RECIPE, seed, epoch)).tobytes() for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


def test_a_short_epoch_takes_the_first_steps_of_a_whole_one() -> None:
    short = RECIPE.model_copy(update={"epoch_steps": 4})
    whole = batches(50, RECIPE, 1, 2)
    assert all(np.array_equal(*pair) for pair in zip(batches(50, short, 1, 2), whole[:4], strict=True))
    assert len(batches(5, short, 1, 2)) == 1
    assert images_seen(short, 50) == 4 * 4 * 3


@given(counts=st.lists(st.integers(1, 11), min_size=1, max_size=6), size=st.integers(1, 5), seed=st.integers(0, 99))
def test_batches_of_one_class(counts: list[int], size: int, seed: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    recipe = RECIPE.model_copy(update={"batch_size": size, "one_class": True})
    steps = batches(len(labels), recipe, seed, 1, labels)
    shown = np.concatenate(steps)
    assert len(set(shown.tolist())) == len(shown)
    for rows in steps:
        (label,) = set(labels[rows].tolist())
        assert len(rows) == min(size, counts[label])
    used = np.bincount(labels[shown], minlength=len(counts)).tolist()
    assert used == [count // size * size or count for count in counts]
    assert [rows.tolist() for rows in batches(len(labels), recipe, seed, 1, labels)] == [s.tolist() for s in steps]


def test_one_class_batches_are_drawn_among_all_classes() -> None:
    labels = np.repeat(np.arange(20), 4)
    recipe = RECIPE.model_copy(update={"batch_size": 4, "one_class": True})
    orders = [[int(labels[rows[0]]) for rows in batches(80, recipe, 1, epoch, labels)] for epoch in (1, 2)]
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(20))
    assert orders[0] != sorted(orders[0])
