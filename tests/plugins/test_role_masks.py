"""Masks of attention heads by their roles."""

from itertools import product
from typing import Any

import pytest
import torch

from promptarena.benchmark.backbone.head_roles import ATTRIBUTES, Head
from promptarena.benchmark.plugins.role_masks import Door, by_layer, door_of, role_mask


def allowed(door: Door, query: int, key: int, originals: int, *, one_way: bool) -> bool:
    """Whether a token may attend to another, said token by token."""
    image, own = query < originals, key < originals
    if door == "open" or (image and own):
        return True
    if door == "closed":
        return (not image and not own) or (one_way and not image and own)
    if image or own:
        return originals + door in (query, key)
    return query == key


@pytest.mark.parametrize("one_way", [False, True])
def test_a_mask_allows_what_the_role_of_its_head_says(one_way: bool) -> None:
    originals, count = 4, 3
    doors: list[Door] = ["open", "closed", 0, 1, 2]
    masks = role_mask(doors, originals, count, one_way)
    assert masks.shape == (len(doors), 7, 7)
    assert set(masks.unique().tolist()) == {0.0, -torch.inf}
    for head, (query, key) in product(range(len(doors)), product(range(7), repeat=2)):
        expected = allowed(doors[head], query, key, originals, one_way=one_way)
        assert (masks[head, query, key] == 0) == expected, (doors[head], query, key)


@pytest.mark.parametrize(
    ("role", "attribute", "expected", "only_generalization"),
    [
        ("mixed", None, "open", "open"),
        ("generalization", None, "closed", "closed"),
        ("attribute", ATTRIBUTES[2], 2, "open"),
        ("attribute", None, "closed", "open"),
    ],
)
def test_a_role_opens_a_door(role: Any, attribute: str | None, expected: Door, only_generalization: Door) -> None:
    head = Head(layer=1, head=0, role=role, attribute=attribute, entropy=0.0, distribution=(), dominant=None, texts=())
    assert door_of(head, ATTRIBUTES) == expected
    assert door_of(head, ATTRIBUTES, generalization_only=True) == only_generalization


def test_a_layer_has_the_door_of_most_of_its_heads_and_of_the_first_where_two_are_as_many() -> None:
    assert by_layer(["open", 1, 1]) == [1, 1, 1]
    assert by_layer(["closed", 1, 1, "closed"]) == ["closed"] * 4


def test_every_token_may_attend_to_something() -> None:
    masks = role_mask(["open", "closed", 0, 4], 50, 5)
    assert (masks == 0).any(dim=-1).all()
