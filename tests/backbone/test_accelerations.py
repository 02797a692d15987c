"""The exact accelerations: with each of them alone, and with all, outputs and gradients are those of the plain path."""

from dataclasses import dataclass, fields, replace

import pytest
import tiny
import torch
from torch import Tensor

from promptarena.benchmark.backbone import clip as backbone_module
from promptarena.benchmark.backbone import towers
from promptarena.benchmark.backbone.accelerations import ALL, PLAIN, Accelerations
from promptarena.benchmark.backbone.clip import Backbone, Prompts
from promptarena.benchmark.backbone.interventions import Interventions
from promptarena.benchmark.backbone.loading import load_backbone
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.inputs.views import PixelBatch
from promptarena.benchmark.planning.suites import load_suite
from promptarena.benchmark.plugins.edits import encode_images_with, encode_text_with, insert
from promptarena.benchmark.plugins.registry import load_registry

CLASSES = Classes(
    ("red fox", "zebra", "great barn owl", "ox", "snow leopard in the far north"), "art of the {}.", "zoo"
)
ALONE = [replace(PLAIN, **{field.name: True}) for field in fields(Accelerations)]
REGISTRY = load_registry(())


def with_(accelerations: Accelerations) -> Backbone:
    model = tiny.model(tiny.config(quick_gelu=True))
    return Backbone(model, "tiny", "digest", torch.device("cpu"), "fp32", accelerations=accelerations)


def deep_text(backbone: Backbone, layers: list[Tensor]) -> Tensor:
    return encode_text_with(backbone, backbone.prompts(CLASSES.filled()), layers)


def deep_images(backbone: Backbone, layers: list[Tensor]) -> Tensor:
    return encode_images_with(backbone, PixelBatch(tiny.pixels(3), backbone), layers)


def inserted_text(backbone: Backbone, layers: list[Tensor]) -> Tensor:
    frozen = backbone.frozen_below(backbone.prompts(CLASSES.filled()), 1)
    return backbone.encode_text(frozen, edits={1: insert(layers[0], 1), 2: insert(layers[1], 2)})


@pytest.fixture(autouse=True)
def _little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """So little that class prompts are encoded in parts."""
    monkeypatch.setattr(backbone_module, "HELD_BYTES", 1 << 30)


@pytest.mark.parametrize("accelerations", [*ALONE, ALL], ids=[*(field.name for field in fields(Accelerations)), "all"])
@pytest.mark.parametrize("encode", [deep_text, inserted_text, deep_images])
def test_features_and_gradients_are_those_of_the_plain_path(accelerations: Accelerations, encode: object) -> None:
    found = []
    for chosen in (accelerations, PLAIN):
        backbone = with_(chosen)
        width = (backbone.vision if encode is deep_images else backbone.text).width
        layers = [torch.randn(2, width, generator=torch.Generator().manual_seed(k)).requires_grad_() for k in range(3)]
        features = encode(backbone, layers)  # type: ignore[operator]
        used = layers[:2] if encode is inserted_text else layers
        found.append((features, *torch.autograd.grad(features.square().sum(), used)))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def mini() -> Backbone:
    source = load_suite("mini").backbone
    assert source.config is not None
    assert source.weights is not None
    return load_backbone(source.config, source.weights, device="cpu")


@pytest.mark.parametrize("name", sorted(REGISTRY.methods))
def test_every_method_takes_the_same_step(name: str, mini: Backbone) -> None:
    learner_type = REGISTRY.get(name).learner
    config, recipe = learner_type.preset(tiny.training_task())
    if not recipe.epochs:
        pytest.skip(f"{name} takes no steps")
    config = tiny.few_templates(config)
    if "dropout" in type(config).model_fields:  # its masks are drawn for the rows that are encoded, which differ
        config = config.model_copy(update={"dropout": 0.0})
    pixels, labels = torch.randn(3, 3, 48, 48, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 4, 2])
    found = []
    for accelerations in (ALL, PLAIN):
        backbone = Backbone(
            mini.model, mini.name, mini.digest, mini.device, "fp32", mini.mean, mini.std, accelerations=accelerations
        )
        learner = learner_type(backbone, config, CLASSES, torch.Generator().manual_seed(1))
        images = PixelBatch(pixels, backbone)
        learner.fit(TrainingImages(images, labels))
        logits, losses = learner.training_step(images, labels, learner.training_prompts(CLASSES))
        learner.backward(losses)
        gradients = [parameter.grad for parameter in learner.parameters() if parameter.grad is not None]
        found.append((logits.detach(), *(loss.detach() for loss in losses.values()), *gradients))
    for one, other in zip(*found, strict=True):
        assert (one - other).norm() <= 1e-4 * other.norm() + 1e-6


@dataclass(frozen=True)
class TrainingImages:
    """Shots of a training that are also its validation."""

    train: PixelBatch
    train_labels: Tensor

    @property
    def val(self) -> PixelBatch:
        return self.train

    @property
    def val_labels(self) -> Tensor:
        return self.train_labels

    def augmented(self, index: int) -> PixelBatch:
        return self.train


def test_text_beyond_the_last_end_is_kept_only_on_the_plain_path() -> None:
    assert with_(PLAIN).tokenize(["zebra"]).shape[1] == with_(PLAIN).context_length
    assert with_(ALL).tokenize(["zebra"]).shape[1] == 3


def test_sequences_of_unlike_length_are_not_padded() -> None:
    counted: list[int] = []
    for accelerations in (ALL, replace(ALL, pack_texts=False)):
        backbone = with_(replace(accelerations, encode_in_parts=False))
        rows = 0

        def count(_: object, given: tuple[Tensor, ...]) -> None:
            nonlocal rows
            rows += given[0].numel() // given[0].shape[-1]

        products = [block.get_submodule("attn.out_proj") for block in backbone.text.blocks]
        hooks = [product.register_forward_pre_hook(count) for product in products]
        backbone.encode_text(replace_shared(backbone))
        for hook in hooks:
            hook.remove()
        counted.append(rows)
    assert counted[0] < counted[1]


def replace_shared(backbone: Backbone) -> Prompts:
    """Many short texts and a long one: worth a run of their own even in a small tower."""
    return backbone.prompts([f"art of {name}." for name in ("ox",) * 400 + ("snow leopard in the far north",)])


def test_texts_scored_first_do_not_stand_in_the_way_of_training() -> None:
    backbone = with_(ALL)
    prompts = backbone.prompts(CLASSES.filled())
    with torch.inference_mode():
        scored = backbone.encode_text(prompts)
    given = prompts.embeddings.clone().requires_grad_()
    features = backbone.encode_text(replace(prompts, embeddings=given))
    features.sum().backward()
    torch.testing.assert_close(scored, features.detach(), rtol=1e-5, atol=1e-5)
    assert given.grad is not None


def test_plain_texts_are_encoded_once_and_what_is_done_to_their_features_harms_nobody() -> None:
    backbone, passes = with_(ALL), 0

    def count(*_: object) -> None:
        nonlocal passes
        passes += 1

    backbone.text.blocks[0].get_submodule("attn.out_proj").register_forward_pre_hook(count)
    texts = CLASSES.filled()
    with torch.inference_mode():
        first = backbone.encode_texts(texts)
        first.zero_()
    second = backbone.encode_texts(texts)
    encoded = passes
    assert torch.equal(second, backbone.encode_texts(texts))
    assert passes == encoded
    torch.testing.assert_close(second, with_(PLAIN).encode_texts(texts), rtol=1e-4, atol=1e-4)
    (second * torch.ones_like(second, requires_grad=True)).sum().backward()
    for number in range(backbone_module.KEPT_TEXTS):
        backbone.encode_texts([f"ox {number}"])
    backbone.encode_texts(texts)
    assert passes > encoded + backbone_module.KEPT_TEXTS


def test_texts_of_a_tower_under_training_are_not_kept() -> None:
    backbone = with_(ALL)
    before = backbone.encode_texts(["ox"])
    weight = backbone.model.transformer.resblocks[0].mlp.c_fc.weight.requires_grad_(True)
    with torch.no_grad():
        weight.mul_(2.0)
    after = backbone.encode_texts(["ox"])
    assert not torch.equal(before, after)
    after.sum().backward()
    assert weight.grad is not None


@pytest.mark.parametrize("own_bias", [False, True])
def test_a_large_batch_passes_a_block_in_parts(own_bias: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, divided = with_(PLAIN).vision, with_(replace(PLAIN, divide_batches=True)).vision
    monkeypatch.setattr(towers, "PART_BYTES", 2 * 4 * 5 * 4 * divided.width)
    sizes: list[int] = []
    product = divided.blocks[0].get_submodule("attn.out_proj")
    product.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    random = torch.Generator().manual_seed(0)
    tokens = torch.randn(5, 5, plain.width, generator=random)
    biased = Interventions(bias={0: torch.randn(5 if own_bias else 1, plain.heads, 5, 5, generator=random)})
    with torch.no_grad():
        found = divided.run(tokens, interventions=biased)
        torch.testing.assert_close(found, plain.run(tokens, interventions=biased), rtol=1e-5, atol=1e-5)
    assert sizes == [2, 2, 1]
    divided.run(tokens, interventions=biased)
    assert sizes[3:] == [5]
