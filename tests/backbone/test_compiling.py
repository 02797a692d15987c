"""Compiled blocks give the figures of plain ones up to rounding, are labelled, and fail in one line."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from torch import Tensor

from promptarena.benchmark.backbone import compiling
from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.backbone.loading import compiler_for
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.inputs.pixel_batch import PixelBatch
from promptarena.benchmark.inputs.views import View
from promptarena.benchmark.running.environment import environment
from promptarena.methods.maple import MaPLe, MaPLeConfig

CLASSES = Classes(("red fox", "zebra", "great barn owl"), "a photo of a {}.", "zoo")


def built(compile_backend: str) -> Backbone:
    return Backbone(tiny.model(), "tiny", "digest", tiny.CPU, "fp32", compile_backend=compile_backend)


def test_a_compiled_training_step_is_the_plain_one_up_to_rounding() -> None:
    found = []
    for compile_backend in ("aot_eager", ""):
        learner = MaPLe(built(compile_backend), MaPLeConfig(prompt_depth=2), CLASSES, torch.Generator().manual_seed(0))
        images, labels = PixelBatch(tiny.pixels(2), learner.backbone), torch.tensor([0, 2])
        logits, losses = learner.training_step(images, labels, learner.training_prompts(CLASSES))
        learner.backward(losses)
        gradients = [parameter.grad for parameter in learner.parameters() if parameter.grad is not None]
        found.append((logits.detach(), *gradients))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_blocks_of_both_towers_are_compiled() -> None:
    torch.compiler.reset()
    biases: list[int] = []

    def compile_backend(graph: Any, given: Sequence[Any]) -> Any:
        biases.extend(each.shape[0] for each in given if isinstance(each, Tensor) and each.ndim == 1)
        return graph.forward

    backbone = built(compile_backend)  # type: ignore[arg-type]
    with torch.no_grad():
        backbone.encode_image(tiny.pixels(2))
        backbone.encode_texts(["zebra", "red fox"])
    assert {backbone.vision.width, backbone.text.width} <= set(biases)


def test_features_of_compiled_blocks_are_cached_apart(tmp_path: Path) -> None:
    drawings = tiny.Drawings(["a", "b"])
    for compile_backend in ("", "eager", ""):
        View(drawings, built(compile_backend), tiny.cache(tmp_path)).features([0])
    pictures_and_features = list(tmp_path.rglob("*.npy"))
    assert len(pictures_and_features) == 1 + 2


def test_a_run_tells_what_compiled_it() -> None:
    assert environment(built("eager"), 1)["compiler"] == "eager"
    assert "compiler" not in environment(built(""), 1)


def test_what_cannot_be_compiled_is_a_line_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> Any:
        raise RuntimeError("\nno C++ compiler found\nand more")

    monkeypatch.setattr(torch, "compile", broken)
    with pytest.raises(UserError, match=r"cannot compile for cpu \(no C\+\+ compiler found\); install") as raised:
        compiler_for("cpu", seeds_together=False)
    assert "\n" not in str(raised.value)


def test_seeds_together_cannot_be_compiled() -> None:
    with pytest.raises(UserError, match="leave out --seeds-together"):
        compiler_for("cpu", seeds_together=True)


def test_a_check_that_works_is_silent() -> None:
    compiling.check_compiler(tiny.CPU, "eager")
