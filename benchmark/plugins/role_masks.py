"""Attention masks of added tokens, in each head of an image encoder according to the head's role."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from promptarena.benchmark.backbone.head_roles import Head

Door = int | Literal["open", "closed"]
"""Attention that a head allows between image and attribute tokens: all, none, or only with the token of this number."""


def door_of(head: Head, attributes: Sequence[str], *, generalization_only: bool = False) -> Door:
    """What a diagnosed head allows: everything if mixed, one token if it serves an attribute, else nothing.

    A specialist is an attribute head that serves none of the attributes: it allows nothing. With `generalization_only`
    attribute heads of both kinds allow everything.
    """
    if head.role == "mixed" or (generalization_only and head.role == "attribute"):
        return "open"
    return "closed" if head.attribute is None else attributes.index(head.attribute)


def by_layer(doors: Sequence[Door]) -> Sequence[Door]:
    """For every head of a layer what most of its heads allow; of equally many the first head decides."""
    return [Counter(doors).most_common(1)[0][0]] * len(doors)


def role_mask(doors: Sequence[Door], originals: int, count: int, one_way: bool = False) -> Tensor:
    """M (heads, L, L) in {0, -inf}, queries by keys, of the heads of a layer; L = originals + count, the tokens after
    class token and patches. one_way: where a head allows nothing, tokens may attend to the image, not the reverse."""
    length = originals + count
    masks = torch.zeros(len(doors), length, length)
    for mask, door in zip(masks, doors, strict=True):
        if door == "open":
            continue
        mask[:originals, originals:] = -torch.inf
        if door == "closed":
            if not one_way:
                mask[originals:, :originals] = -torch.inf
            continue
        mask[originals:] = -torch.inf
        mask.fill_diagonal_(0)
        own = originals + door
        mask[:originals, own] = mask[own, :originals] = 0
    return masks
