"""What is made of frozen weights is made once, and never of other values than the weight has."""

import pytest
import tiny
import torch
from torch import Tensor, nn

from promptarena.benchmark.backbone.frozen import Frozen


class Made:
    """Doubles a weight, and counts."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, source: Tensor) -> Tensor:
        self.count += 1
        return 2 * source


def weight() -> nn.Parameter:
    return nn.Parameter(torch.arange(3.0), requires_grad=False)


def test_it_is_made_once_while_the_weight_stays_as_it_is() -> None:
    frozen, made, one, other = Frozen(), Made(), weight(), weight()
    with torch.inference_mode():
        first = frozen.of(one, "doubled", made)
    assert not first.is_inference()  # else a training step could not use it
    assert frozen.of(one, "doubled", made) is first
    assert frozen.of(other, "doubled", made) is not first
    assert made.count == 2


@pytest.mark.parametrize("change", ["in place", "data"])
def test_a_changed_weight_is_made_anew(change: str) -> None:
    frozen, made, one = Frozen(), Made(), weight()
    frozen.of(one, "doubled", made)
    if change == "in place":
        with torch.no_grad():
            one.add_(1)
    else:  # as when a module is moved to another device
        one.data = one.data + 1
    assert torch.equal(frozen.of(one, "doubled", made), 2 * one)


def test_a_trained_weight_keeps_its_gradient() -> None:
    frozen, one = Frozen(), weight().requires_grad_()
    for _ in range(2):
        one.grad = None
        frozen.of(one, "doubled", Made()).sum().backward()
        assert torch.equal(one.grad, torch.full((3,), 2.0))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_product_in_mixed_precision_has_the_bits_of_the_layer(dtype: torch.dtype) -> None:
    frozen, layer, x = Frozen(), nn.Linear(5, 3).requires_grad_(False), torch.randn(4, 5)
    assert frozen.cast(layer.weight) is layer.weight
    with torch.autocast("cpu", dtype=dtype):
        assert frozen.cast(layer.weight) is frozen.cast(layer.weight)
        found, expected = frozen.linear(layer, x), layer(x)
    assert found.dtype == dtype
    assert torch.equal(found, expected)
    assert torch.equal(frozen.linear(layer, x), layer(x))


def test_precisions_of_one_tower_do_not_disturb_each_other() -> None:
    model = tiny.model(tiny.config(quick_gelu=True))
    plain, mixed = tiny.wrapped(model), tiny.wrapped(model, "bf16")
    pixels = tiny.pixels(2)
    expected = tiny.wrapped(model).encode_image(pixels)
    with torch.no_grad(), mixed.autocast():
        rounded = plain.encode_image(pixels)
    assert torch.equal(plain.encode_image(pixels), expected)
    assert not torch.equal(rounded.float(), expected)
