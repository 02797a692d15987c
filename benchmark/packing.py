"""Short sequences of different lengths side by side in longer ones, so that hardly any work is done on padding and
attention is one call."""

import heapq
from collections.abc import Sequence

import torch
from torch import Tensor

ROOM = 32
"""Rows of a bin: enough for several class prompts, so few that attention over all of them costs little."""


class Packing:
    """Sequences (B, L, W), each needed up to a last row, laid side by side into bins of equally many rows.

    ends: (B,) int64, the position of each last row; the B sequences are `groups` equally long ones, which share no
    bin. In `bins` (groups x bins a group) times `width` flat rows, `rows` (B,) are those of the last rows. On a GPU
    each sequence has a bin of its own: telling the lengths apart would make the host wait for the device. What is made
    for a pass without gradients can be kept for one with them.
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
        filled = [_filled((part + 1).tolist()) for part in ends.view(groups, -1)]
        each = max(len(bins) for bins in filled)
        self.bins = groups * each
        self.width = max(sum(size for _, size in held) for bins in filled for held in bins)
        owner = torch.full((self.bins, self.width), -1)
        position = torch.zeros(self.bins, self.width, dtype=torch.int64)
        for group, bins in enumerate(filled):
            for number, held in enumerate(bins):
                first = 0
                for sequence, size in held:
                    rows = slice(first, first + size)
                    owner[group * each + number, rows] = group * (count // groups) + sequence
                    position[group * each + number, rows] = torch.arange(size)
                    first += size
        self._places = (owner.clamp(min=0) * length + position).flatten()
        last = (owner >= 0) & (position == ends[owner.clamp(min=0)])
        self.rows = last.flatten().nonzero()[:, 0][owner[last].argsort()]
        self._sees = (owner[:, :, None] == owner[:, None, :]).tril()[:, None]

    def pack(self, sequences: Tensor) -> Tensor:
        """(B, L, W) -> (bins x width, W); rows that are padding hold another one's values."""
        flat = sequences.flatten(0, 1)
        return flat if self._places is None else flat.index_select(0, self._places)

    @torch.inference_mode(False)
    def mask(self, shared: int) -> Tensor:
        """Additive attention mask over `shared` common rows in front and the bin's own, broadcastable to (bins, heads,
        width, shared + width): 0 where a row attends to another, else -inf. Made once."""
        if shared not in self._masks:
            common = self._sees.new_ones(*self._sees.shape[:-1], shared)
            seen = torch.cat([common, self._sees], dim=-1)
            self._masks[shared] = torch.zeros(seen.shape, device=seen.device).masked_fill_(~seen, float("-inf"))
        return self._masks[shared]


def packed(ends: Sequence[int], length: int, groups: int, worthwhile: bool) -> Packing:
    """The packing on the CPU of sequences whose last rows are known."""
    return Packing(torch.tensor(ends), length, groups, worthwhile)


def _filled(lengths: Sequence[int]) -> list[list[tuple[int, int]]]:
    """Bins of (sequence, length), about evenly filled: longest first, each into the emptiest bin."""
    count = -(-sum(lengths) // max(ROOM, *lengths))
    bins: list[list[tuple[int, int]]] = [[] for _ in range(count)]
    fill = [(0, number) for number in range(count)]
    for size, sequence in sorted(((size, sequence) for sequence, size in enumerate(lengths)), reverse=True):
        rows, number = heapq.heappop(fill)
        bins[number].append((sequence, size))
        heapq.heappush(fill, (rows + size, number))
    return bins
