"""QuickGELU as one operation: the MLP of a block, and its gradients, up to rounding."""

import pytest
import tiny
import torch

from promptarena.benchmark.backbone.frozen import Frozen, add_mlp, has_quick_gelu


def block(*, quick_gelu: bool) -> torch.nn.Module:
    return tiny.model(tiny.config(quick_gelu=quick_gelu)).visual.transformer.resblocks[0]


def test_it_is_known_by_its_activation() -> None:
    assert has_quick_gelu(block(quick_gelu=True))
    assert not has_quick_gelu(block(quick_gelu=False))


@pytest.mark.parametrize("gradients", [True, False])
def test_it_equals_the_written_out_mlp_with_its_gradient(gradients: bool) -> None:
    one = block(quick_gelu=True)
    x = torch.randn(2, 5, 48, generator=torch.Generator().manual_seed(1), requires_grad=gradients)
    with torch.set_grad_enabled(gradients):
        found, expected = add_mlp(one, x, Frozen()), x + one.mlp(one.ln_2(x))
    torch.testing.assert_close(found, expected)
    if gradients:
        torch.testing.assert_close(*(torch.autograd.grad(each.square().sum(), x)[0] for each in (found, expected)))
