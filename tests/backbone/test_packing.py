"""Sequences packed into bins: none is lost, none sees another, and there is little padding."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from promptarena.benchmark.backbone.packing import ROOM, Packing

LENGTH = 40
GROUPS = st.lists(st.lists(st.integers(0, LENGTH - 1), min_size=1, max_size=12), min_size=1, max_size=3)


def packed(groups: list[list[int]]) -> tuple[Tensor, Packing]:
    shortest = min(map(len, groups))
    ends = torch.tensor([group[:shortest] for group in groups])
    return ends.flatten(), Packing(ends.flatten(), LENGTH, len(groups))


@given(GROUPS)
def test_a_row_sees_the_common_rows_and_those_of_its_own_sequence_up_to_itself(groups: list[list[int]]) -> None:
    ends, packing = packed(groups)
    sequence = torch.arange(len(ends)).repeat_interleave(LENGTH)
    position = torch.arange(LENGTH).repeat(len(ends))
    values = torch.stack([sequence, position], dim=-1).view(len(ends), LENGTH, 2)
    rows = packing.pack(values).view(packing.bins, packing.width, 2)
    seen = packing.mask(2).expand(packing.bins, 1, packing.width, 2 + packing.width)[:, 0] == 0
    for number, end in enumerate(ends.tolist()):
        place, row = divmod(int(packing.rows[number]), packing.width)
        for step in range(end + 1):
            sees = seen[place, row - end + step]
            assert sees[:2].all()
            assert rows[place][sees[2:]].tolist() == [[number, earlier] for earlier in range(step + 1)]
        assert place // (packing.bins // len(groups)) == number // (len(ends) // len(groups))


@given(st.lists(st.integers(0, 9), min_size=1, max_size=60))
def test_bins_are_about_evenly_filled(ends: list[int]) -> None:
    _, packing = packed([ends])
    needed = sum(ends) + len(ends)
    assert packing.bins * packing.width <= needed + packing.bins * (max(ends) + 1)
    assert packing.width <= ROOM + max(ends) + 1


def test_sequences_stay_as_they_are_where_packing_is_off() -> None:
    ends, values = torch.tensor([3, 0]), torch.randn(2, 5, 4)
    packing = Packing(ends, 5, worthwhile=False)
    assert torch.equal(packing.pack(values), values.flatten(0, 1))
    assert packing.rows.tolist() == [3, 5]
