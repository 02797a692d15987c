"""What a method changes inside a tower, as one value that is passed through all of it.

Every kind of intervention says at which blocks it acts. A new kind is a field of `Interventions`, the same keyword in
`Kinds`, and the line that carries it out: in `Interventions.edited` where it changes tokens, else in `Tower`. A kind
that acts on each row by itself goes into `Inside`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Literal, TypedDict, get_args

from torch import Tensor

from promptarena.benchmark.core.errors import UserError

Edit = Callable[[Tensor], Tensor]
"""Receives the token sequence (B, L, W) before a block and returns the one to use, of any length."""

RowFunction = Callable[[Tensor], Tensor]
"""Receives rows (..., W) of any number and returns as many, each computed from its own row only."""

Projection = Literal["q", "k", "v", "out", "fc", "proj"]
"""The linear maps of a block: queries, keys, values and output of the attention; first and second map of the MLP."""

Updates = Mapping[Projection, RowFunction]


class Kinds(TypedDict, total=False):
    """The fields of `Interventions` as keywords, which the encoders of a Backbone and `Tower.read` accept."""

    edits: Mapping[int, Edit]
    bias: Mapping[int, Tensor]
    updates: Mapping[int, Updates]
    beside_block: Mapping[int, RowFunction]
    beside_mlp: Mapping[int, RowFunction]


@dataclass(frozen=True, eq=False)
class Inside:
    """What happens inside one block, row by row: so it acts on rows that many sequences share, and on single rows.

    Attributes:
        updates: projection -> function of its input, added to its output.
        beside_block: function of the rows after the block's first layer norm, added to the rows after the block.
        beside_mlp: function of the rows after the block's second layer norm, added to the rows after the block.
    """

    updates: Updates
    beside_block: RowFunction | None
    beside_mlp: RowFunction | None

    @property
    def after_attention(self) -> bool:
        """Whether something acts between the attention's output and the end of the block."""
        return self.beside_mlp is not None or any(name in self.updates for name in ("out", "fc", "proj"))

    def updated(self, name: Projection, rows: Tensor, projected: Tensor) -> Tensor:
        """The output of a projection with its update.

        Args:
            name: the projection.
            rows: (..., W_in), its input.
            projected: (..., W_out), its output.

        Returns:
            (..., W_out).
        """
        return projected + self.updates[name](rows).to(projected.dtype) if name in self.updates else projected


ROW_BY_ROW = ("edits", "updates", "beside_block", "beside_mlp")
"""The kinds that can act on rows which many sequences share; any other kind needs the whole sequences."""


@dataclass(frozen=True, eq=False)
class Interventions:
    """What happens at which block of a tower; blocks are counted from 0. By default nothing.

    A block outside the part of the tower that is run is passed over.

    Attributes:
        edits: block -> function applied to the tokens before it; it may replace, insert or drop tokens. The number of
            blocks stands for the place after the last block.
        bias: block -> additive attention bias, broadcastable to (B, heads, L, L); -inf forbids a pair of tokens.
        updates: block -> projection -> function of the projection's input rows, added to its output, such as a low-rank
            map. A function that draws at random is called a second time for texts that are encoded in parts, so give
            it whole sequences (`Prompts` with shared = 0).
        beside_block: block -> function of the rows after its first layer norm, added to the rows after the block.
        beside_mlp: block -> function of the rows after its second layer norm, added to the rows after the block.
    """

    edits: Mapping[int, Edit] = field(default_factory=dict)
    bias: Mapping[int, Tensor] = field(default_factory=dict)
    updates: Mapping[int, Updates] = field(default_factory=dict)
    beside_block: Mapping[int, RowFunction] = field(default_factory=dict)
    beside_mlp: Mapping[int, RowFunction] = field(default_factory=dict)

    @property
    def row_by_row(self) -> bool:
        """Whether all of it can act on rows that many sequences share."""
        return not any(getattr(self, kind.name) for kind in fields(self) if kind.name not in ROW_BY_ROW)

    def inside(self, block: int) -> Inside | None:
        """What happens inside `block`; None when nothing does."""
        found = self.updates.get(block, {}), self.beside_block.get(block), self.beside_mlp.get(block)
        return Inside(*found) if any(found) else None

    def edited(self, block: int, tokens: Tensor) -> Tensor:
        """The tokens that `block` receives.

        Args:
            block: number of the block, from 0.
            tokens: (B, L, W), the tokens that the part of the tower before the block returned.

        Returns:
            (B, L', W); the tokens themselves where no edit acts on this block.
        """
        return self.edits[block](tokens) if block in self.edits else tokens

    def check(self, depth: int) -> None:
        """Refuse interventions that no block would carry out.

        Args:
            depth: how many blocks the tower has.

        Raises:
            UserError: a kind of intervention names a block that the tower does not have, or a projection that no block
                has.
        """
        for kind in fields(self):
            for block in getattr(self, kind.name):
                after = kind.name == "edits" and block == depth
                if not (0 <= block < depth or after):
                    hint = f"; {depth} is the place after the last one" if kind.name == "edits" else ""
                    raise UserError(f"{kind.name} at block {block}: this encoder has the blocks 0 to {depth - 1}{hint}")
        known = get_args(Projection)
        for block, updates in self.updates.items():
            for name in updates:
                if name not in known:
                    raise UserError(f"updates at block {block}: no projection {name!r}; a block has {', '.join(known)}")


NONE = Interventions()
"""No intervention: the tower of plain CLIP."""
