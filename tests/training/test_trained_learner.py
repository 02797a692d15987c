"""A learner loaded from what its run kept scores to the last bit as the one that was trained."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.recipe import Recipe
from promptarena.benchmark.inputs.views import View
from promptarena.benchmark.plugins.learner import Config, Learner
from promptarena.benchmark.plugins.registry import Method, Registry, load_registry
from promptarena.benchmark.training.loop import train
from promptarena.benchmark.training.trained_learner import Learned, load_learned

REGISTRY = load_registry()
RECIPE = Recipe(epochs=2, batch_size=4, lr=0.05, warmup_epochs=0)
SETTINGS: dict[str, dict[str, Any]] = {
    "coop": {"n_ctx": 3, "ctx_init": ""},
    "maple": {"prompt_depth": 3},
    "tip-adapter": {"alpha": 2.0},
}


def trained(name: str, folder: Path) -> Learner:
    method = REGISTRY.get(name)
    config = method.learner.config_type(**SETTINGS[name])
    task = tiny.task()
    learner = method.learner(tiny.backbone(), config, task.classes, torch.Generator().manual_seed(5))
    recipe = RECIPE if list(learner.parameters()) else RECIPE.model_copy(update={"epochs": 0})
    cache, file = tiny.cache(folder), folder / "checkpoint.safetensors"
    train(learner, recipe, task, cache=cache, checkpoint=file, train_key="key", on_epoch=lambda curve: None)
    return learner


def kept(name: str, folder: Path) -> Path:
    path = folder / "learned.safetensors"
    learned = Learned.of(trained(name, folder), tiny.task().classes, name, REGISTRY.get(name).source)
    path.write_bytes(learned.content())
    return path


def scored(learner: Learner) -> Tensor:
    task = tiny.task()
    view = View(task.val.images, learner.backbone, tiny.NO_CACHE)
    with torch.inference_mode():
        return learner.logits(view.batch(range(6)), learner.classifier(learner.prompts(task.classes)))


def altered(path: Path, **changes: Any) -> Path:
    learned = Learned.load(path)
    path.write_bytes(Learned(learned.origin.model_copy(update=changes), learned.tensors).content())
    return path


@pytest.mark.parametrize("name", SETTINGS)
def test_a_loaded_learner_scores_to_the_last_bit_as_the_trained_one(name: str, tmp_path: Path) -> None:
    learner = trained(name, tmp_path)
    loaded = load_learned(kept(name, tmp_path), tiny.backbone(), REGISTRY)
    assert type(loaded) is type(learner)
    assert loaded.config == learner.config
    assert not loaded.training
    assert torch.equal(scored(loaded), scored(learner))
    assert not torch.equal(scored(loaded), scored(untrained(learner)))


def untrained(learner: Learner) -> Learner:
    return type(learner)(tiny.backbone(), learner.config, tiny.task().classes, torch.Generator().manual_seed(5))


def test_a_learner_in_use_as_it_was_trained_has_no_changes_to_tell(tmp_path: Path) -> None:
    learned = Learned.load(kept("maple", tmp_path))
    assert learned.changes(tiny.backbone(), REGISTRY) == ()
    assert learned.origin.classes == tiny.task().classes


def test_another_source_or_precision_is_reported_and_does_not_keep_from_loading(tmp_path: Path) -> None:
    learned = Learned.load(altered(kept("coop", tmp_path), source="0" * 64))
    reduced = tiny.backbone(precision="bf16")
    changed, precision = learned.changes(reduced, REGISTRY)
    assert changed.startswith("coop has been changed")
    assert precision.startswith("trained in fp32, used in bf16")
    assert isinstance(learned.learner(reduced, REGISTRY), REGISTRY.get("coop").learner)


class Reading(tiny.Linear):
    """Reads a file that its configuration names."""

    class Settings(Config):
        file: str

    config_type = Settings
    config: Settings

    @classmethod
    def reads(cls, config: Any, backbone_digest: str) -> Mapping[str, Path]:
        return {"table": Path(config.file)}


def test_another_content_of_a_file_that_was_read_is_reported(tmp_path: Path) -> None:
    table, path = tmp_path / "table.txt", tmp_path / "learned.safetensors"
    table.write_text("one")
    classes = tiny.task().classes
    learner = Reading(tiny.backbone(), Reading.Settings(file=str(table)), classes, torch.Generator())
    registry = Registry([Method("reading", Reading, "here", "", "source")], ())
    path.write_bytes(Learned.of(learner, classes, "reading", "source").content())
    assert Learned.load(path).changes(tiny.backbone(), registry) == ()
    table.write_text("two")
    (line,) = Learned.load(path).changes(tiny.backbone(), registry)
    assert str(table) in line


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": "f" * 64}, "trained on other weights"),
        ({"method": "kooop"}, "unknown method 'kooop'"),
        ({"config": {"n_ctx": -3}}, r"learned coop\.n_ctx cannot be used"),
        ({"config": {"n_ctx": 7, "ctx_init": ""}}, "do not fit coop as it is now"),
        ({"method": "maple", "config": {"prompt_depth": 2}}, "do not fit maple"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(changes: Any, message: str, tmp_path: Path) -> None:
    path = altered(kept("coop", tmp_path), **changes)
    with pytest.raises(UserError, match=message) as caught:
        load_learned(path, tiny.backbone(), REGISTRY)
    assert "\n" not in str(caught.value)


def test_a_file_that_holds_no_learner_is_refused_in_one_line(tmp_path: Path) -> None:
    path = kept("coop", tmp_path)
    tensors = load_file(path)
    cases: list[tuple[dict[str, str] | None, str]] = [
        (None, "does not say how"),
        ({"learner": "{"}, "does not say how"),
        ({"learner": json.dumps({"method": "coop"})}, "config: Field required"),
    ]
    for metadata, message in cases:
        save_file(tensors, path, metadata)
        with pytest.raises(UserError, match=message) as caught:
            Learned.load(path)
        assert "\n" not in str(caught.value)
    path.write_bytes(b"not tensors")
    with pytest.raises(UserError, match="cannot read a learner from"):
        Learned.load(path)
    with pytest.raises(UserError, match="cannot read a learner from"):
        Learned.load(tmp_path / "nothing.safetensors")
