"""CoPrompt: MaPLe with adapters and two consistency terms."""

import json
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
import torch.nn.functional as F

from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.inputs.views import PixelBatch
from promptarena.methods.coprompt import CoPrompt, CoPromptConfig
from promptarena.methods.maple import MaPLe, MaPLeConfig

CLASSES = Classes(("red fox", "zebra", "great barn owl"), "art of the {}.")
LABELS = torch.tensor([0, 1, 2, 1])
BACKBONE = tiny.backbone()
TEMPLATES = ("a photo of a {}.", "the {} from above.", "many {}.")


def images() -> PixelBatch:
    other = PixelBatch(tiny.pixels(8)[4:], BACKBONE)
    return PixelBatch(tiny.pixels(8)[:4], BACKBONE, other)


def coprompt(**config: Any) -> CoPrompt:
    settings = {"prompt_depth": 3, "templates": TEMPLATES, **config}
    return CoPrompt(BACKBONE, CoPromptConfig(**settings), CLASSES, torch.Generator().manual_seed(0))


def test_without_adapters_and_weight_it_is_maple_bit_for_bit() -> None:
    learner = coprompt(weight=0, image_mix=0, text_mix=0)
    maple = MaPLe(BACKBONE, MaPLeConfig(prompt_depth=3), CLASSES, torch.Generator().manual_seed(0))
    found = [one.training_step(images(), LABELS, one.training_prompts(CLASSES)) for one in (learner, maple)]
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1]["cross_entropy"], found[1][1]["cross_entropy"])
    assert not found[0][1]["cos_text"]


def test_the_terms_compare_with_one_sentence_of_each_class_and_the_second_view() -> None:
    learner = coprompt(weight=8.0)
    learner.begin_epoch(1, torch.Generator().manual_seed(5))
    number = int(torch.randint(3, (1,), generator=torch.Generator().manual_seed(5)))
    _, losses = learner.training_step(images(), LABELS, learner.training_prompts(CLASSES))
    e = BACKBONE.encode_texts(CLASSES.filled(TEMPLATES[number]))
    g, f = learner.text_features(learner.prompts(CLASSES)), learner.image_features(images())
    z = BACKBONE.encode_image(tiny.pixels(8)[4:])
    assert torch.allclose(losses["cos_text"], 8 * (1 - F.cosine_similarity(g, e).mean()), atol=1e-4)
    assert torch.allclose(losses["cos_image"], 8 * (1 - F.cosine_similarity(f, z).mean()), atol=1e-4)


def test_sentences_are_drawn_anew_in_every_step_and_keyed_by_the_epoch() -> None:
    learner, draws = coprompt(), []
    for seed in (1, 1, 2):
        learner.begin_epoch(1, torch.Generator().manual_seed(seed))
        draws.append([learner.draw(1000) for _ in range(5)])
    assert draws[0] == draws[1] != draws[2]
    assert len(set(draws[0])) > 1


def test_what_the_adapters_add_is_not_negative() -> None:
    learner = coprompt()
    assert (learner.image_adapter(torch.randn(5, BACKBONE.embed_dim)) >= 0).all()
    d, added = BACKBONE.embed_dim, (learner.image_adapter, learner.text_adapter)
    assert sum(weight.numel() for each in added for weight in each.parameters()) == 4 * d * (d // 4)


def test_sentences_come_from_the_users_file(tmp_path: Path) -> None:
    path = tmp_path / "sentences.json"
    texts = {name: [f"{name} one.", f"{name} two."] for name in (*CLASSES.names, "stranger")}
    path.write_text(json.dumps(texts))
    learner = coprompt(sentences=str(path))
    assert CoPrompt.reads(learner.config, "") == {"sentences": path}
    e = learner.training_prompts(CLASSES).e
    expected = BACKBONE.encode_texts([f"{name} two." for name in CLASSES.names])
    assert e.shape == (2, 3, BACKBONE.embed_dim)
    assert torch.allclose(e[1], F.normalize(expected, dim=-1), atol=1e-5)
    novel = Classes(("unheard of",), CLASSES.template)
    assert len(learner.text_features(learner.prompts(novel))) == 1  # classes that are only scored need no sentences


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"zebra": ["a"], "red fox": ["b"]}, "has no sentences for the class 'great barn owl'"),
        ({"zebra": ["a"], "red fox": ["b"], "great barn owl": ["c", "d"]}, "equally many sentences"),
        ({"zebra": [], "red fox": [], "great barn owl": []}, "no sentence"),
        ({"zebra": "abc", "red fox": "abc", "great barn owl": "abc"}, "equally many sentences"),
        ([1], "equally many sentences"),
        (None, "equally many sentences"),
    ],
)
def test_a_bad_file_is_named(content: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "sentences.json"
    path.write_text("{" if content is None else json.dumps(content))
    with pytest.raises(UserError, match=message) as caught:
        coprompt(sentences=str(path)).training_prompts(CLASSES)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused_before_the_training(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no file of sentences"):
        CoPrompt.reads(CoPromptConfig(sentences=str(tmp_path / "none.json")), "")


@pytest.mark.parametrize(("protocol", "expected"), [("base-to-novel", (9, 8)), ("cross-dataset", (3, 2))])
def test_the_preset_is_the_released_one(protocol: Any, expected: tuple[int, int]) -> None:
    config, recipe = CoPrompt.preset(tiny.training_task(protocol))
    assert (config.prompt_depth, recipe.epochs) == expected
    assert (config.weight, recipe.lr, recipe.batch_size, recipe.augmentation) == (1.0, 0.0035, 4, "randaugment")
