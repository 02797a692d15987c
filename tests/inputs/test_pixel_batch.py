"""A batch given by its pixels: each block of the frozen encoder runs once, whatever is requested first."""

import pytest
import tiny
import torch

from promptarena.benchmark.backbone.clip import Precision
from promptarena.benchmark.inputs.pixel_batch import PixelBatch


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("blocks", [[0], [1], [2], [1, 2], [2, 1], [3]])
def test_features_go_on_from_the_tokens_asked_for_and_are_the_same_bits(
    blocks: list[int], precision: Precision
) -> None:
    backbone, pixels = tiny.backbone(precision=precision), tiny.pixels(4)
    alone = PixelBatch(pixels, backbone)
    expected = [alone.features, *(PixelBatch(pixels, backbone).tokens_at(block) for block in blocks)]
    batch = PixelBatch(pixels, backbone)
    tokens = [batch.tokens_at(block) for block in blocks]
    assert all(torch.equal(one, other) for one, other in zip([batch.features, *tokens], expected, strict=True))


def test_who_changes_a_tensor_in_place_changes_it_for_no_other() -> None:
    batch = PixelBatch(tiny.pixels(3), tiny.backbone())
    before = batch.features.clone()
    batch.features.zero_()
    batch.tokens_at(1).zero_()
    assert torch.equal(batch.features, before)
    assert torch.equal(batch.tokens_at(1), PixelBatch(tiny.pixels(3), tiny.backbone()).tokens_at(1))
