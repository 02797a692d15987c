"""A partly trained CLIP: what is frozen is shared, what is trained is its own, and the frozen one stays as it is."""

import pytest
import tiny
import torch

from promptarena.benchmark.backbone.loading import weights_digest
from promptarena.benchmark.backbone.trainable import trainable
from promptarena.benchmark.core.errors import UserError


def norms(name: str) -> bool:
    return ".ln_1." in name or ".ln_2." in name


def test_frozen_weights_are_shared_and_chosen_ones_are_not() -> None:
    frozen = tiny.backbone()
    partly, own = trainable(frozen, norms)
    shared = dict(frozen.model.named_parameters())
    for name, weight in partly.model.named_parameters():
        if norms(name):
            assert weight is own[name.replace(".", "/")]
            assert weight.requires_grad
            assert weight.data_ptr() != shared[name].data_ptr()
            assert torch.equal(weight, shared[name])
        else:
            assert weight is shared[name]
            assert not weight.requires_grad
    assert len(own) == sum(map(norms, shared))
    assert partly.digest == frozen.digest


def test_it_starts_as_the_frozen_clip_and_leaves_it_as_it_is() -> None:
    frozen = tiny.backbone()
    before = weights_digest(frozen.model.state_dict())
    partly, own = trainable(frozen, norms)
    pixels, texts = tiny.pixels(2, frozen.image_size), ["a red fox.", "a zebra."]
    plain = frozen.encode_image(pixels), frozen.encode_texts(texts)
    assert torch.equal(partly.encode_image(pixels), plain[0])
    assert torch.equal(partly.encode_texts(texts), plain[1])
    (partly.encode_image(pixels).sum() + partly.encode_texts(texts).sum()).backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in own.values())
    with torch.no_grad():
        for weight in own.values():
            weight += 0.1
    assert not torch.allclose(partly.encode_image(pixels), plain[0])
    assert not torch.allclose(partly.encode_texts(texts), plain[1])  # nothing of before the change was kept
    assert torch.equal(frozen.encode_image(pixels), plain[0])
    assert weights_digest(frozen.model.state_dict()) == before
    assert not any(weight.requires_grad or weight.grad is not None for weight in frozen.model.parameters())


def test_texts_of_a_trained_projection_are_not_kept() -> None:
    partly, own = trainable(tiny.backbone(), lambda name: name == "text_projection")
    before = partly.encode_texts(["a zebra."])
    with torch.no_grad():
        own["text_projection"] += 0.1
    assert not torch.allclose(partly.encode_texts(["a zebra."]), before)


def test_a_choice_of_nothing_is_refused() -> None:
    with pytest.raises(UserError, match="has none of the weights"):
        trainable(tiny.backbone(), lambda name: False)
