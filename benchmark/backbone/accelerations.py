"""The accelerations that change no result beyond rounding; each can be switched off, to compare."""

from dataclasses import dataclass, fields
from typing import Literal, get_args

from promptarena.benchmark.core.errors import unknown

Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class Accelerations:
    """What a backbone leaves out because nothing reads it, or computes once because it is the same for all.

    Attributes:
        cut_texts: leave out the rows of a set of texts after its last end-of-text token.
        share_beginnings: compute the first rows that all prompts share once.
        pack_texts: leave out the padding between prompts of different lengths (on the CPU).
        read_rows: leave out the rows of the last block that are not read.
        fold_quick_gelu: move the factors of QuickGELU into the vectors around it, which saves the multiplications.
        keep_texts: keep the features of plain texts that were encoded before.
        divide_batches: run a block on parts of a large batch without gradients (on the CPU).
        encode_in_parts: encode class prompts whose gradients would hold too much memory part by part, and again in the
            backward pass.
    """

    cut_texts: bool = True
    share_beginnings: bool = True
    pack_texts: bool = True
    read_rows: bool = True
    fold_quick_gelu: bool = True
    keep_texts: bool = True
    divide_batches: bool = True
    encode_in_parts: bool = True


ALL = Accelerations()
"""Every acceleration."""

PLAIN = Accelerations(**{switch.name: False for switch in fields(Accelerations)})
"""Everything computed for every text and every token."""


def check_precision(precision: str) -> None:
    """Raise UserError for a precision that is not one of `Precision`: it would silently count as fp32."""
    if precision not in get_args(Precision):
        raise unknown("precision", precision, get_args(Precision))
