from typing import Any

import pytest
import tiny
import torch
import torch.nn.functional as F
from open_clip.transformer import LayerScale
from torch import Tensor

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.heads.decompose import Moments, decompose


def with_layer_scale() -> Any:
    clip = tiny.model()
    for block in clip.visual.transformer.resblocks:
        block.ls_1, block.ls_2 = LayerScale(48, 0.3), LayerScale(48, 0.7)
    return clip


MODELS = {
    "GELU": tiny.model,
    "QuickGELU, other widths and heads": lambda: tiny.model(
        tiny.config(vision=(64, 4), text=(60, 5), layers=2, quick_gelu=True)
    ),
    "24 layers of 16 heads on patches of 14": lambda: tiny.model(
        tiny.config(layers=24, vision=(64, 16), image_size=28, patch_size=14)
    ),
    "with layer scale": with_layer_scale,
}


@pytest.mark.parametrize("name", MODELS)
def test_all_parts_together_are_the_normalised_image_feature(name: str) -> None:
    clip = MODELS[name]().eval()
    backbone = tiny.wrapped(clip)
    pixels = tiny.pixels(5, backbone.image_size)
    parts = decompose(backbone, pixels)
    expected = F.normalize(clip.encode_image(pixels), dim=-1)
    depth, heads = backbone.vision.depth, backbone.vision.heads
    assert parts.heads.shape == (5, depth, heads, 20)
    torch.testing.assert_close(parts.sum(), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(parts.feature, expected, rtol=0, atol=1e-6)


def naive_head(clip: Any, pixels: Tensor, block: int, head: int) -> Tensor:
    """(B, D): what a head contributes, token by token, from open_clip's own forward pass."""
    seen: dict[str, Tensor] = {}
    layer, visual = clip.visual.transformer.resblocks[block], clip.visual
    hooks = [
        layer.ln_1.register_forward_hook(lambda module, given, out: seen.update(x=out)),
        visual.ln_post.register_forward_hook(lambda module, given, out: seen.update(z=given[0])),
    ]
    f = clip.encode_image(pixels)
    for hook in hooks:
        hook.remove()
    heads, width = layer.attn.num_heads, layer.attn.embed_dim
    size = width // heads
    q, k, v = (seen["x"] @ layer.attn.in_proj_weight.T + layer.attn.in_proj_bias).chunk(3, -1)
    own = slice(head * size, (head + 1) * size)
    z = seen["z"][:, 0] if seen["z"].ndim == 3 else seen["z"]
    sigma = (z.var(-1, correction=0) + 1e-5).sqrt()
    parts = 2 * len(visual.transformer.resblocks) + 1
    rows = []
    for image in range(len(pixels)):
        weights = (q[image, :1, own] @ k[image, :, own].T * size**-0.5).softmax(-1)[0]
        total = torch.zeros(20)
        for token, weight in enumerate(weights):
            shares = parts * heads * len(weights)
            p = weight * (layer.attn.out_proj.weight[:, own] @ v[image, token, own])
            p = p + layer.attn.out_proj.bias / (heads * len(weights)) - z[image].mean() / shares
            normed = visual.ln_post.weight * p / sigma[image] + visual.ln_post.bias / shares
            total = total + normed @ visual.proj / f[image].norm()
        rows.append(total)
    return torch.stack(rows)


@pytest.mark.parametrize(("block", "head"), [(0, 0), (1, 2), (2, 1)])
def test_a_heads_part_is_what_it_writes_summed_over_tokens(block: int, head: int) -> None:
    clip, pixels = tiny.model().eval(), tiny.pixels(3)
    found = decompose(tiny.wrapped(clip), pixels).heads[:, block, head]
    with torch.no_grad():
        torch.testing.assert_close(found, naive_head(clip, pixels, block, head), rtol=1e-4, atol=1e-6)


def test_a_blocks_parts_lead_from_its_first_token_to_the_next() -> None:
    tower = tiny.backbone().vision
    tokens = torch.randn(2, 7, tower.width, generator=torch.Generator().manual_seed(0))
    written = tower.written(1, tokens)
    behind = tower.run(tokens, start=1, stop=2)
    assert torch.equal(written.tokens, behind)
    torch.testing.assert_close(tokens[:, 0] + written.heads.sum(1) + written.mlp, behind[:, 0], rtol=1e-5, atol=1e-5)


def test_a_model_of_another_layout_is_refused() -> None:
    clip = tiny.model()
    clip.visual.transformer.resblocks[1].ls_1 = torch.nn.Tanh()
    with pytest.raises(UserError, match="not the sum of its parts"):
        decompose(tiny.wrapped(clip), tiny.pixels(2))


def test_moments_gathered_in_batches_are_those_of_all_rows() -> None:
    rows = 5 + torch.randn(11, 3, 4, generator=torch.Generator().manual_seed(2))
    moments = Moments()
    for batch in rows.split(4):
        moments.add(batch)
    found = moments.covariance()
    assert found.dtype is torch.float64
    for group in range(3):
        torch.testing.assert_close(found[group], rows[:, group].double().T.cov(), rtol=1e-9, atol=1e-12)


def test_one_image_has_no_covariance() -> None:
    moments = Moments()
    moments.add(torch.ones(1, 2, 3))
    with pytest.raises(UserError, match="too few"):
        moments.covariance()
