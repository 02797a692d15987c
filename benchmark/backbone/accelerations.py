"""The accelerations that change no figure beyond rounding; each can be switched off, to compare."""

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Exact:
    """What a backbone leaves out because nobody reads it, or computes once because it is the same for all.

    cut_texts: rows of a set of texts behind its last end-of-text token. share_beginnings: the rows that all prompts
    begin with alike, once. pack_texts: padding between prompts of different lengths (on the CPU). read_rows: rows of
    the last block that are not read. fold_quick_gelu: the multiplications of QuickGELU, whose factors go into the
    vectors around it. keep_texts: plain texts that were encoded before. divide_batches: a large batch without gradients
    passes a block in parts (on the CPU). encode_in_parts: class prompts whose gradients would hold too much memory are
    encoded part by part, and again on the way back.
    """

    cut_texts: bool = True
    share_beginnings: bool = True
    pack_texts: bool = True
    read_rows: bool = True
    fold_quick_gelu: bool = True
    keep_texts: bool = True
    divide_batches: bool = True
    encode_in_parts: bool = True


EXACT = Exact()
"""Every acceleration."""

PLAIN = Exact(**{switch.name: False for switch in fields(Exact)})
"""Everything computed for every text and every token."""
