"""TCP: each class makes its own tokens from its zero-shot feature, before one block of the text encoder."""

from typing import Any

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor

from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.recipe import Recipe, TrainingTask
from promptarena.benchmark.inputs.views import PixelBatch
from promptarena.methods.tcp import TCP, TCPConfig
from promptarena.methods.zeroshot import ZeroShot, ZeroShotConfig

NAMES = ("red fox", "zebra", "great barn owl")
CLASSES = Classes(NAMES, "art of the {}.")
BACKBONE = tiny.backbone()
IMAGES = PixelBatch(tiny.pixels(4), BACKBONE)
LABELS = torch.tensor([0, 1, 2, 1])


def tcp(seed: int = 0, **config: Any) -> TCP:
    settings = {"layer": 2} | config
    return TCP(BACKBONE, TCPConfig(**settings), CLASSES, torch.Generator().manual_seed(seed))


@torch.no_grad()
def text(learner: TCP, classes: Classes = CLASSES) -> Tensor:
    return learner.text_features(learner.prompts(classes))


@torch.no_grad()
def plain_text(template: str, names: tuple[str, ...] = NAMES) -> Tensor:
    classes = Classes(names, template)
    learner = ZeroShot(BACKBONE, ZeroShotConfig(), classes, torch.Generator())
    return learner.text_features(learner.prompts(classes))


def unit(x: Tensor) -> Tensor:
    return x / x.norm(dim=-1, keepdim=True)


def close(one: Tensor, other: Tensor, relative: float = 1e-4) -> bool:
    return bool((one - other).abs().max() <= relative * other.abs().max())


@torch.no_grad()
def repeat_the_words(learner: TCP, words: str = "a photo of a") -> TCP:
    """Context = embeddings of the words, class-aware tokens = what stands there anyway; rows 0 .. 4 see no class."""
    prompts = BACKBONE.embed(BACKBONE.tokenize([words]))
    learner.context.copy_(prompts.embeddings[0, 1:5])
    learner.get_parameter("metanet.linear2.weight").zero_()
    rows = BACKBONE.text_tokens(prompts, stop=learner.config.layer)[0, 1:5]
    learner.get_parameter("metanet.linear2.bias").copy_(rows.flatten())
    return learner


@pytest.mark.parametrize("layer", [1, 2])
def test_tokens_that_repeat_what_they_replace_change_nothing(layer: int) -> None:
    learner = tcp(layer=layer)
    assert not close(text(learner), plain_text("a photo of a {}."), 1e-3)
    assert close(text(repeat_the_words(learner)), plain_text("a photo of a {}."))


@pytest.mark.parametrize(
    ("dataset", "template", "prompt"),
    [
        ("oxford_pets", "unused {}", "a photo of a {}, a type of pet."),
        ("oxford_flowers", "unused {}", "a photo of a {}, a type of flower."),
        ("fgvc_aircraft", "unused {}", "a photo of a {}, a type of aircraft."),
        ("dtd", "unused {}", "a photo of a {} texture."),
        ("eurosat", "unused {}", "a photo of a {}."),
        ("sun397", "unused {}", "a photo of a {}."),
        ("caltech101", "unused {}", "a photo of a {}."),
        ("stanford_cars", "unused {}", "a photo of a {}, a type of car"),
        ("food101", "unused {}", "a photo of a {}, a type of food."),
        ("ucf101", "unused {}", "a photo of a person doing {}."),
        ("imagenet", "unused {}", "a photo of a {}."),
        ("imagenet-r", "unused {}", "a photo of a {}."),
        ("plants", "a photo of a {}, a type of plant.", "a photo of a {}, a type of plant."),
        ("", "{} texture.", "a photo of a {} texture."),
    ],
)
def test_each_dataset_has_its_layout(dataset: str, template: str, prompt: str) -> None:
    assert close(text(repeat_the_words(tcp()), Classes(NAMES, template, dataset)), plain_text(prompt))


@pytest.mark.parametrize(
    ("dataset", "template", "prior"),
    [
        ("dtd", "{} texture.", "a photo of a {}, a type of texture."),
        ("fgvc_aircraft", "a photo of a {}, a type of aircraft.", "a photo of an aircraft {}."),
        ("food101", "a photo of {}, a type of food.", "a photo of a {}, a type of food."),
        ("eurosat", "a centered satellite photo of {}.", "a centered satellite photo of {}."),
        ("", "art of the {}.", "art of the {}."),
    ],
)
def test_each_dataset_has_its_prior(dataset: str, template: str, prior: str) -> None:
    prompts = tcp().prompts(Classes(NAMES, template, dataset))
    assert not prompts.w.requires_grad
    assert close(prompts.w, unit(plain_text(prior)))


@pytest.mark.parametrize("layer", [1, 2])
def test_the_text_features_are_the_papers(layer: int) -> None:
    """The text branch spelled out, block by block."""
    learner = tcp(layer=layer)
    named = {name: parameter.detach() for name, parameter in learner.named_parameters()}
    w = unit(plain_text(CLASSES.template))
    hidden = w @ named["metanet.linear1.weight"].T + named["metanet.linear1.bias"]
    hidden = hidden / (1 + torch.exp(-1.702 * hidden))
    class_aware = (hidden @ named["metanet.linear2.weight"].T + named["metanet.linear2.bias"]).reshape(3, 4, 32)
    whole = BACKBONE.embed(BACKBONE.tokenize(CLASSES.filled("X X X X {}.")))
    x = whole.embeddings.clone()
    x[:, 1:5] = named["context"]
    x = x + BACKBONE.model.positional_embedding[: x.shape[1]]
    with torch.no_grad():
        for block in range(3):
            if block == layer:
                x = torch.cat([x[:, :1], class_aware, x[:, 5:]], dim=1)
            x = BACKBONE.text.run(x, start=block, stop=block + 1)
        expected = BACKBONE.project_text(x[torch.arange(3), whole.eot])
    assert close(text(learner), expected)


def test_context_and_class_aware_tokens_both_matter() -> None:
    before = text(tcp())
    for name in ("context", "metanet.linear1.weight", "metanet.linear2.weight"):
        learner = tcp()
        with torch.no_grad():
            learner.get_parameter(name).neg_()
        assert not close(text(learner), before, 1e-3), name


def test_the_second_term_is_the_weighted_distance_to_the_prior() -> None:
    g, w = (x.double().numpy() for x in (text(tcp()), plain_text(CLASSES.template)))
    cosines = (g * w).sum(-1) / np.linalg.norm(g, axis=-1) / np.linalg.norm(w, axis=-1)
    for weight in (0.0, 1.0, 8.0):
        learner = tcp(weight=weight)
        losses = learner.training_step(IMAGES, LABELS, learner.training_prompts(CLASSES))[1]
        assert set(losses) == {"cross_entropy", "prior"}
        assert float(losses["prior"].detach()) == pytest.approx(weight * (1 - cosines.mean()), rel=1e-4)
    assert 0 < 1 - cosines.mean() < 2


def test_each_class_has_its_own_tokens_and_permuting_classes_permutes_features() -> None:
    learner, order = tcp(), [2, 0, 1]
    permuted = Classes(tuple(NAMES[row] for row in order), CLASSES.template)
    assert close(text(learner, permuted), text(learner)[order])
    longer = Classes((*NAMES, "a class with a rather long name"), CLASSES.template)
    assert close(text(learner, longer)[:3], text(learner))


def test_nothing_learned_belongs_to_a_class() -> None:
    novel = Classes(tiny.NOVEL, CLASSES.template)
    learner = tcp(seed=1)
    other = TCP(BACKBONE, TCPConfig(layer=2), novel, torch.Generator().manual_seed(2))
    other.load_state_dict(learner.state_dict())
    assert torch.equal(text(other, novel), text(learner, novel))


def test_it_starts_as_drawn_and_as_linear_layers_do() -> None:
    learner = tcp()
    assert abs(float(learner.context.detach().std()) - 0.02) < 0.004
    for layer, inputs in (("linear1", 20), ("linear2", 5)):
        for tensor in ("weight", "bias"):
            values = learner.get_parameter(f"metanet.{layer}.{tensor}").detach().abs()
            assert 0.4 * inputs**-0.5 < float(values.max()) <= inputs**-0.5


def parameters(embed_dim: int, width: int) -> int:
    hidden = embed_dim // 4
    return 4 * width + (embed_dim * hidden + hidden) + (hidden * 4 * width + 4 * width)


def test_it_has_the_published_number_of_parameters() -> None:
    assert sum(parameter.numel() for parameter in tcp().parameters()) == parameters(20, 32)
    assert parameters(512, 512) == 331_904


def test_in_half_precision_it_nearly_agrees() -> None:
    backbone = tiny.backbone(precision="bf16")
    learner = TCP(backbone, TCPConfig(layer=2), CLASSES, torch.Generator().manual_seed(0))
    with backbone.autocast():
        found = learner.text_features(learner.prompts(CLASSES))
        losses = learner.training_step(tiny.Given(IMAGES.features), LABELS, learner.training_prompts(CLASSES))[1]
    sum(losses.values(), torch.zeros(())).backward()
    assert close(found.float(), text(tcp()), 0.1)
    assert all(loss.dtype == torch.float32 for loss in losses.values())
    assert all(parameter.grad is not None for parameter in learner.parameters())


def test_it_needs_enough_layers() -> None:
    with pytest.raises(UserError, match="layer 3 is not one of the text blocks 1 to 2"):
        tcp(layer=3)


@pytest.mark.parametrize("protocol", ["base-to-novel", "few-shot", "cross-dataset", "domain-generalization"])
@pytest.mark.parametrize(
    ("dataset", "epochs"), [("imagenet", 25), ("sun397", 25), ("eurosat", 50), ("stanford_cars", 50), ("", 50)]
)
def test_the_preset_is_the_released_one(protocol: Any, dataset: str, epochs: int) -> None:
    task = TrainingTask(protocol=protocol, shots=16, dataset=dataset, is_source=dataset == "imagenet")
    config, recipe = TCP.preset(task)
    assert config == TCPConfig(layer=8, weight=8.0)
    assert recipe == Recipe(epochs=epochs, batch_size=32, lr=0.002, optimizer="adam", eps=1e-3, weight_decay=5e-4)
