"""An evaluation hands a GPU its batches and waits for nothing until the last one."""

from pathlib import Path
from typing import Any

import host_reads
import pytest
import tiny
import torch
from host_reads import HostReadError
from torch import Tensor

from promptarena.benchmark.backbone.accelerations import Accelerations
from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.backbone.packing import Packing
from promptarena.benchmark.backbone.towers import Tower
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.runs import Target
from promptarena.benchmark.inputs.pixel_batch import PixelBatch
from promptarena.benchmark.plugins.learner import Learner
from promptarena.benchmark.plugins.registry import load_registry
from promptarena.benchmark.training import evaluation
from promptarena.benchmark.training.evaluation import Evaluated, evaluate_together

CLASSES, TARGET = Classes(tiny.NAMES, tiny.TEMPLATE), Target("toy", "all")
MODEL = tiny.model(tiny.config(layers=12) | {"embed_dim": 64})
BACKBONE = Backbone(MODEL, "tiny", "drawn", tiny.CPU, "fp32", accelerations=Accelerations(pack_texts=False))
REGISTRY = load_registry(())
SETTINGS: dict[str, dict[str, Any]] = {"dear": {"mask": "none"}}


def learner(name: str) -> Learner:
    """A learner of a registered method on the tiny CLIP, with its closed form, if it has one."""
    kind = REGISTRY.get(name).learner
    config = tiny.few_templates(kind.preset(tiny.training_task())[0])
    chosen = config.model_validate(config.model_dump() | SETTINGS.get(name, {}))
    made: Learner = kind(BACKBONE, chosen, CLASSES, torch.Generator().manual_seed(0))
    images = PixelBatch(tiny.pixels(6), BACKBONE)
    labels = torch.arange(6) % 3
    made.fit(tiny.Shots(images, labels, images, labels))
    return made


def scored(learner: Learner, folder: Path, patch: pytest.MonkeyPatch) -> Any:
    """The outcome of an evaluation whose batches may not read a value back; features are cached by an earlier one."""
    patch.setattr(evaluation, "BATCH", 4)
    test, cache = tiny.examples(11, 3), tiny.cache(folder)
    evaluate_together([learner], TARGET, CLASSES, test, 3, cache)
    # As on a GPU, where each prompt has a bin of its own: the lengths are not read.
    patch.setattr(Tower, "_packing", lambda _, ends, length, groups: Packing(ends, length, groups, worthwhile=False))
    score = evaluation._Scored.score

    def watched(self: Any, images: Any) -> None:
        with host_reads.refused():
            score(self, images)

    patch.setattr(evaluation._Scored, "score", watched)
    (outcome,) = evaluate_together([learner], TARGET, CLASSES, test, 3, cache, keep=True)
    return outcome


@pytest.mark.parametrize("name", sorted(REGISTRY.methods))
def test_no_batch_of_an_evaluation_reads_a_value_back(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(scored(learner(name), tmp_path, monkeypatch), Evaluated)


class Waiting(tiny.Linear):
    """Looks at its logits on the host."""

    def logits(self, images: Any, classifier: Any) -> Tensor:
        logits = super().logits(images, classifier)
        return logits * (1 if float(logits.sum()) > 0 else 2)


def test_a_batch_that_reads_a_value_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = Waiting(tiny.backbone(), Waiting.config_type(), CLASSES, torch.Generator().manual_seed(0))
    assert isinstance(scored(waiting, tmp_path, monkeypatch), HostReadError)
