"""What a method changes inside a tower, as one value that is passed through all of it.

Every kind of intervention says at which blocks it acts. A new kind is a field of `Interventions`, the same keyword in
`Kinds`, and the line that carries it out: in `Interventions.edited` where it changes tokens, else in `Tower`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import TypedDict

from torch import Tensor

from promptarena.benchmark.core.errors import UserError

Edit = Callable[[Tensor], Tensor]
"""Receives the token sequence (B, L, W) before a block and returns the one to use, of any length."""


class Kinds(TypedDict, total=False):
    """The fields of `Interventions` as keywords, which the encoders of a Backbone and `Tower.read` accept."""

    edits: Mapping[int, Edit]
    bias: Mapping[int, Tensor]


@dataclass(frozen=True, eq=False)
class Interventions:
    """What happens at which block of a tower; blocks are counted from 0. By default nothing.

    A block outside the part of the tower that is run is passed over.

    Attributes:
        edits: block -> function applied to the tokens before it; it may replace, insert or drop tokens.
        bias: block -> additive attention bias, broadcastable to (B, heads, L, L); -inf forbids a pair of tokens.
    """

    edits: Mapping[int, Edit] = field(default_factory=dict)
    bias: Mapping[int, Tensor] = field(default_factory=dict)

    @property
    def only_edits(self) -> bool:
        """Whether there is nothing but edits. They alone can act on rows that many sequences share: for any other kind
        the whole sequences are needed."""
        return not any(getattr(self, kind.name) for kind in fields(self) if kind.name != "edits")

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
            UserError: a kind of intervention names a block that the tower does not have.
        """
        for kind in fields(self):
            for block in getattr(self, kind.name):
                if not 0 <= block < depth:
                    raise UserError(f"{kind.name} at block {block}: this encoder has the blocks 0 to {depth - 1}")


NONE = Interventions()
"""No intervention: the tower of plain CLIP."""
