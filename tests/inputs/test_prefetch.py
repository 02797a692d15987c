"""Reading ahead changes neither the batches nor what is decoded for those who never look at pixels."""

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.inputs.prefetch import AHEAD, read_ahead
from promptarena.benchmark.inputs.transforms import Augmentation
from promptarena.benchmark.inputs.views import View

STEPS = [[0, 1], [2, 3], [4, 5], [6], [7, 0]]


class Watched(View):
    """Notes which rows are read, and by which threads."""

    read: list[int]
    threads: set[int]

    def decoded(self, rows: Sequence[int]) -> np.ndarray:
        self.read += list(rows)
        self.threads.add(threading.get_ident())
        return super().decoded(rows)


@pytest.fixture
def view() -> Watched:
    made = Watched(tiny.Drawings(list("abcdefgh")), tiny.backbone(), tiny.NO_CACHE, Augmentation(1, 1, (0.5, 1.0)))
    made.read, made.threads = [], set()
    return made


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_batches_are_those_of_the_steps(view: Watched, threads: int) -> None:
    found = [batch.pixels for batch in read_ahead(view, STEPS, threads)]
    for pixels, rows in zip(found, STEPS, strict=True):
        assert torch.equal(pixels, view.pixels(rows))


def test_nothing_is_read_for_who_asks_for_no_pixels(view: Watched) -> None:
    assert [len(batch) for batch in read_ahead(view, STEPS, 2)] == [2, 2, 2, 1, 2]
    assert view.read == []


def test_every_picture_is_read_once_and_not_more_than_so_many_batches_ahead(view: Watched) -> None:
    for given, batch in enumerate(read_ahead(view, STEPS, 2), start=1):
        _ = batch.pixels
        assert set(view.read) <= {row for rows in STEPS[: given + AHEAD] for row in rows}
    assert sorted(view.read) == sorted(row for rows in STEPS for row in rows)
    assert len(view.threads) > 1


def test_it_begins_when_pixels_are_first_asked_for(view: Watched) -> None:
    for step, batch in enumerate(read_ahead(view, STEPS, 2)):
        if step >= 2:
            assert torch.equal(batch.pixels, view.pixels(STEPS[step]))


def test_an_unreadable_picture_is_reported_to_the_one_who_asks_for_it(view: Watched, tmp_path: Path) -> None:
    def broken(rows: Sequence[int]) -> np.ndarray:
        if 4 in rows:
            raise UserError("picture 4 cannot be decoded")
        return View.decoded(view, rows)

    view.decoded = broken  # type: ignore[method-assign]
    given = read_ahead(view, STEPS, 2)
    first, second = next(given).pixels, next(given).pixels
    assert len(first) == len(second) == 2
    third = next(given)
    with pytest.raises(UserError, match="picture 4"):
        _ = third.pixels


def test_on_the_cpu_it_is_off(view: Watched) -> None:
    for batch in read_ahead(view, STEPS):
        _ = batch.pixels
    assert view.threads == {threading.get_ident()}
