"""Short sequences of different lengths side by side in longer ones, so that hardly any work is done on padding and
attention is one call."""

import heapq
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

ROOM = 32
"""Rows of a bin: enough for several class prompts, so few that attention over all of them costs little.
Changing it changes which sequences lie side by side, and with it last bits."""


class Packing:
    """Sequences (B, L, W), each needed up to a last row, laid side by side into bins of equally many rows.

    On a GPU each sequence has a bin of its own: reading the lengths would make the host wait for the device. A packing
    that is made in a pass without gradients can be kept for one with gradients.

    Args:
        ends: (B,) int64, the position of each sequence's last row.
        length: L, rows of a sequence with its padding.
        groups: how many equally large groups the sequences form; groups share no bin.
        worthwhile: False gives each sequence a bin of its own.

    Attributes:
        bins: number of bins of all groups.
        width: rows of a bin.
        rows: (B,) int64, where in the bins x width flat rows the last rows lie.
    """

    @torch.inference_mode(False)
    def __init__(self, ends: Tensor, length: int, groups: int = 1, worthwhile: bool = True) -> None:
        ends = ends.clone() if ends.is_inference() else ends
        device, count = ends.device, len(ends)
        self._places: Tensor | None = None
        self._masks: dict[int, Tensor] = {}
        if not worthwhile or device.type != "cpu":
            self.bins, self.width = count, length
            self.rows = torch.arange(count, device=device) * length + ends
            self._sees = torch.ones(length, length, dtype=torch.bool, device=device).tril()
            return
        found = [_laid((part + 1).tolist()) for part in ends.view(groups, -1)]
        each = max(laid.bins for laid in found)
        self.bins, self.width = groups * each, max(laid.width for laid in found)
        starts = torch.cat(
            [
                (group * each + torch.tensor(laid.bin_of)) * self.width + torch.tensor(laid.first)
                for group, laid in enumerate(found)
            ]
        )
        self.rows = starts + ends
        sequence = torch.arange(count).repeat_interleave(ends + 1)
        position = torch.cat([torch.arange(end + 1) for end in ends.tolist()])
        rows = starts[sequence] + position
        owner = torch.full((self.bins * self.width,), -1).index_copy(0, rows, sequence).view(self.bins, -1)
        self._places = torch.zeros(owner.numel(), dtype=torch.int64).index_copy(0, rows, sequence * length + position)
        self._sees = (owner[:, :, None] == owner[:, None, :]).tril()[:, None]

    def pack(self, sequences: Tensor) -> Tensor:
        """(B, L, W) -> (bins x width, W); rows that are padding hold the values of another row, which nothing reads."""
        flat = sequences.flatten(0, 1)
        return flat if self._places is None else flat.index_select(0, self._places)

    @torch.inference_mode(False)
    def mask(self, shared: int) -> Tensor:
        """The attention mask of the bins' rows over the shared rows and the bin's own; made once.

        Args:
            shared: S, rows before the bin's own that all of its sequences share.

        Returns:
            Additive mask, broadcastable to (bins, heads, width, S + width): 0 where a row attends to another, else
            -inf.
        """
        if shared not in self._masks:
            common = self._sees.new_ones(*self._sees.shape[:-1], shared)
            seen = torch.cat([common, self._sees], dim=-1)
            self._masks[shared] = torch.zeros(seen.shape, device=seen.device).masked_fill_(~seen, float("-inf"))
        return self._masks[shared]


def packed(ends: Sequence[int], length: int, groups: int, worthwhile: bool) -> Packing:
    """A packing on the CPU, with arguments that a cache can compare.

    Args:
        ends: position of each sequence's last row.
        length: L, rows of a sequence with its padding.
        groups: how many equally large groups the sequences form.
        worthwhile: False gives each sequence a bin of its own.

    Returns:
        The packing.
    """
    return Packing(torch.tensor(ends), length, groups, worthwhile)


class _Laid(NamedTuple):
    """Where sequences lie in `bins` bins of `width` rows: the bin of each, and its first row in there."""

    bins: int
    width: int
    bin_of: list[int]
    first: list[int]


def _laid(lengths: Sequence[int]) -> _Laid:
    """Sequences of these lengths in about evenly filled bins: longest first, each into the emptiest bin."""
    bins = -(-sum(lengths) // max(ROOM, *lengths))
    filled = [(0, number) for number in range(bins)]
    bin_of, first = [0] * len(lengths), [0] * len(lengths)
    for size, sequence in sorted(((size, sequence) for sequence, size in enumerate(lengths)), reverse=True):
        first[sequence], bin_of[sequence] = filled[0]
        heapq.heapreplace(filled, (first[sequence] + size, bin_of[sequence]))
    return _Laid(bins, max(filled)[0], bin_of, first)
