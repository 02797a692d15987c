"""Sequences of different lengths laid end to end, so that no work is done on padding."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

WORTH_A_RUN = 1 << 18
"""Rows saved times width squared that make up for one more run on a CPU core."""


@dataclass(frozen=True)
class Run:
    """Sequences `places` (in the packed order) of one length; `ends` (n,) are the positions of their last rows."""

    places: slice
    length: int
    ends: Tensor

    @property
    def count(self) -> int:
        """How many sequences the run has."""
        return int(self.places.stop) - int(self.places.start)

    def mask(self, shared: int, *, ends_only: bool) -> Tensor:
        """Additive attention mask over `shared` common rows and its own: (length, shared + length), of the last rows
        only (n, 1, 1, shared + length); 0 where a row attends to another, else -inf."""
        device, behind = self.ends.device, shared + self.length
        if ends_only:
            seen = torch.arange(behind, device=device) <= shared + self.ends[:, None, None, None]
        else:
            seen = torch.ones(self.length, behind, dtype=torch.bool, device=device).tril(shared)
        return torch.zeros(seen.shape, device=device).masked_fill_(~seen, float("-inf"))


class Packing:
    """Sequences (B, L, W), each needed up to a last row, as flat rows (N, W) in runs of one length.

    ends: (B,) int64, the position of each last row. On a GPU there is one run: telling the lengths apart would make the
    host wait for the device. `order` (B,) lists the sequences as they are packed, `rows` (B,) where in the flat rows
    their last ones are, and `sizes` the rows of each run. What is made for a pass without gradients can be kept for one
    with them.
    """

    @torch.inference_mode(False)
    def __init__(self, ends: Tensor, width: int, length: int, worthwhile: bool = True) -> None:
        ends = ends.clone() if ends.is_inference() else ends
        self.order = torch.arange(len(ends), device=ends.device)
        lengths = [length] * len(ends)
        if worthwhile and ends.device.type == "cpu":
            self.order = ends.argsort(stable=True)
            lengths = _merged((ends[self.order] + 1).tolist(), width)
        self._as_given = self.order.argsort()
        self.runs: list[Run] = []
        starts = [place for place, size in enumerate(lengths) if place == 0 or size != lengths[place - 1]]
        for start, stop in zip(starts, [*starts[1:], len(lengths)], strict=True):
            places = slice(start, stop)
            self.runs.append(Run(places, lengths[start], ends[self.order[places]]))
        self.sizes = [run.count * run.length for run in self.runs]
        self._masks: dict[tuple[int, bool], list[Tensor]] = {}
        firsts = [sum(self.sizes[:number]) for number in range(len(self.runs))]
        self.rows = torch.cat(
            [
                first + run.length * torch.arange(run.count, device=ends.device) + run.ends
                for first, run in zip(firsts, self.runs, strict=True)
            ]
        )

    def pack(self, sequences: Tensor) -> Tensor:
        """(B, L, W) -> (N, W)."""
        return torch.cat([sequences[self.order[run.places], : run.length].flatten(0, 1) for run in self.runs])

    def split(self, flat: Tensor, *, ends_only: bool = False) -> Sequence[Tensor]:
        """Flat rows (N, K) -> a tensor (n, length, K) for each run; of the last rows only, (B, K) -> (n, 1, K)."""
        parts = flat.split([run.count for run in self.runs] if ends_only else self.sizes)
        lengths = [1 if ends_only else run.length for run in self.runs]
        return [
            part.view(run.count, length, part.shape[-1])
            for part, run, length in zip(parts, self.runs, lengths, strict=True)
        ]

    @torch.inference_mode(False)
    def masks(self, shared: int, *, ends_only: bool) -> Sequence[Tensor]:
        """The `mask` of each run; made once."""
        if (shared, ends_only) not in self._masks:
            self._masks[shared, ends_only] = [run.mask(shared, ends_only=ends_only) for run in self.runs]
        return self._masks[shared, ends_only]

    def unpack(self, wanted: Tensor) -> Tensor:
        """One row of each sequence in the packed order (B, W) -> in the order they were given."""
        return wanted[self._as_given]


def packed(ends: Sequence[int], width: int, length: int, worthwhile: bool) -> Packing:
    """The packing on the CPU of sequences whose last rows are known."""
    return Packing(torch.tensor(ends), width, length, worthwhile)


def _merged(lengths: Sequence[int], width: int) -> list[int]:
    """Ascending lengths, each raised to the next one where the rows this adds cost less than a run."""
    merged = list(lengths)
    for place in range(len(merged) - 1, 0, -1):
        shorter = lengths[place - 1]
        if shorter == merged[place]:
            continue
        alike = sum(length == shorter for length in lengths[:place])
        if alike * (merged[place] - shorter) * width * width < WORTH_A_RUN:
            merged[place - alike : place] = [merged[place]] * alike
        else:
            merged[place - 1] = shorter
    return merged
