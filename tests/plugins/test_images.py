"""What methods receive fits the interface that they are written against."""

import inspect
from pathlib import Path
from typing import Any

import pytest
import tiny

from promptarena.benchmark.inputs.views import PixelBatch, View
from promptarena.benchmark.plugins.images import Images, Shots
from promptarena.benchmark.training.shots import TrainingImages


def members(interface: type) -> set[str]:
    return {name for name in vars(interface) if not name.startswith("_")} - {"register"}


def test_all_that_the_interface_names_is_there(tmp_path: Path) -> None:
    learner, task, cache = tiny.linear(), tiny.task(), tiny.cache(tmp_path)
    backbone = learner.backbone
    recipe = type(learner).preset(tiny.training_task())[1]
    shots: Any = TrainingImages(learner, recipe, task, cache)
    batches = [
        View(task.train.images, backbone, cache).batch([0, 1]),
        PixelBatch(tiny.pixels(2), backbone),
    ]
    for given, interface in [*((batch, Images) for batch in batches), (shots, Shots)]:
        assert {name for name in members(interface) if not hasattr(given, name)} == set()
    for batch in batches:
        assert len(batch) == len(batch.second) == len(batch.pixels) == len(batch.tokens_at(1)) == 2
        assert batch.features.shape == (2, backbone.embed_dim)
    assert len(shots.train) == len(shots.train_labels) == len(shots.augmented(1))
    assert len(shots.val) == len(shots.val_labels)


@pytest.mark.parametrize("interface", [Images, Shots])
def test_every_member_says_what_it_is(interface: type) -> None:
    assert all(inspect.getdoc(getattr(interface, name)) for name in members(interface))
