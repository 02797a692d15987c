"""A seal notices every way in which a method can change what all methods share."""

import copy
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
import torch.nn.functional as F
from torch import nn

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.backbone.seal import Seal, SharedStateChangedError
from promptarena.benchmark.backbone.shared_state import SharedState
from promptarena.benchmark.backbone.towers import Tower
from promptarena.benchmark.inputs.array_cache import ArrayCache
from promptarena.benchmark.inputs.views import View


@pytest.fixture
def backbone() -> Iterator[Backbone]:
    state = SharedState()
    yield tiny.wrapped(tiny.model())
    state.restore()
    assert not state.changes()


def weights(backbone: Backbone) -> list[nn.Parameter]:
    return list(backbone.model.parameters())


def flip_rows(backbone: Backbone) -> None:
    weight = backbone.model.text_projection
    weight.data.copy_(weight.data.flip(0).clone())


def through_numpy(backbone: Backbone) -> None:
    weights(backbone)[3].detach().numpy().reshape(-1)[-1] += 1e-6


def swap_weights(backbone: Backbone) -> None:
    block = backbone.model.transformer.resblocks[0]
    block.ln_1, block.ln_2 = block.ln_2, block.ln_1


def replace_forward(backbone: Backbone) -> None:
    backbone.model.ln_final.forward = lambda rows: rows


def assign(backbone: Backbone) -> None:
    backbone.model.ln_final.weight = nn.Parameter(torch.ones(32), requires_grad=False)


def add_in_place(backbone: Backbone) -> None:
    with torch.no_grad():
        weights(backbone)[0].add_(1)


def enter_a_mode(backbone: Backbone) -> None:
    torch.set_default_device("meta")


CHANGES_OF_THE_BACKBONE: dict[str, Callable[[Backbone], Any]] = {
    "a tensor through data": lambda backbone: weights(backbone)[5].data.mul_(0.5),
    "one value through numpy": through_numpy,
    "a tensor in place": add_in_place,
    "a tensor to NaN": lambda backbone: weights(backbone)[2].data.fill_(float("nan")),
    "rows of a tensor": flip_rows,
    "other data": lambda backbone: setattr(weights(backbone)[1], "data", weights(backbone)[1].data.clone()),
    "an assigned parameter": assign,
    "a mask": lambda backbone: backbone.model.attn_mask.zero_(),
    "the scale": lambda backbone: backbone.scale.mul_(2),
    "the colours": lambda backbone: backbone.colours[0].zero_(),
    "a setting": lambda backbone: setattr(backbone.model.ln_final, "eps", 0.1),
    "gradients": lambda backbone: weights(backbone)[4].requires_grad_(True),
    "training mode": lambda backbone: backbone.model.train(),
    "a hook": lambda backbone: backbone.model.ln_final.register_forward_hook(lambda *_: None),
    "exchanged modules": swap_weights,
    "a replaced method of a module": replace_forward,
    "a replaced method of the backbone": lambda backbone: setattr(backbone, "encode_texts", len),
    "a replaced tower": lambda backbone: setattr(backbone, "text", backbone.vision),
    "another precision": lambda backbone: setattr(backbone, "precision", "bf16"),
}
CHANGES_OF_THE_PROCESS: dict[str, Callable[[Backbone], Any]] = {
    "the default type": lambda _: torch.set_default_dtype(torch.float64),
    "the number of threads": lambda _: torch.set_num_threads(2),
    "deterministic algorithms": lambda _: torch.use_deterministic_algorithms(True, warn_only=True),
    "the precision of products": lambda _: torch.set_float32_matmul_precision("medium"),
    "cudnn's choice": lambda _: setattr(torch.backends.cudnn, "benchmark", True),
    "denormal numbers": lambda _: torch.set_flush_denormal(True),
    "numpy's errors": lambda _: np.seterr(all="ignore"),
    "a mode": enter_a_mode,
    "a function of torch": lambda _: setattr(F, "normalize", lambda x, **_: x),
    "a method of the harness": lambda _: setattr(Tower, "run", len),
    "a method that shadows another": lambda _: setattr(Backbone, "__call__", len),
    "a hook of all modules": lambda _: nn.modules.module.register_module_forward_hook(lambda *_: None),
}
CHANGES_OF_A_BLOCK: dict[str, Callable[[Backbone], Any]] = {
    "gradients off": lambda _: torch.set_grad_enabled(False),
    "autocast on": lambda _: torch.set_autocast_enabled("cpu", True),
    "the type of autocast": lambda _: torch.set_autocast_dtype("cpu", torch.float16),
}
LASTING = CHANGES_OF_THE_BACKBONE | CHANGES_OF_THE_PROCESS


@pytest.mark.parametrize("change", (LASTING | CHANGES_OF_A_BLOCK).values(), ids=LASTING | CHANGES_OF_A_BLOCK)
def test_a_change_is_noticed_and_the_process_restored(backbone: Backbone, change: Callable[[Backbone], Any]) -> None:
    seal = Seal(backbone)
    seal.verify("toy")
    change(backbone)
    with pytest.raises(SharedStateChangedError, match="toy changed what all methods share: "):
        seal.verify("toy")


@pytest.mark.parametrize("change", LASTING.values(), ids=LASTING)
def test_nothing_of_a_changed_backbone_is_kept(
    backbone: Backbone, change: Callable[[Backbone], Any], tmp_path: Path
) -> None:
    images, texts = tiny.examples(3, 3).images, ["a red fox"]
    expected = View(images, backbone, ArrayCache(tmp_path / "sound")).features([0]), backbone.encode_texts(texts)
    seal = Seal(backbone)
    backbone._kept.clear()
    cache = ArrayCache(tmp_path / "cache")
    state = SharedState()
    change(backbone)
    for use in (lambda: View(images, backbone, cache).features([0]), lambda: Backbone.encode_texts(backbone, texts)):
        try:
            use()
        except Exception:  # some changes break the backbone
            continue
    state.restore()
    assert not list((tmp_path / "cache").glob("*/*.npy"))
    assert not backbone._kept
    del seal
    fresh = tiny.wrapped(tiny.model())
    assert torch.equal(View(images, fresh, cache).features([0]), expected[0])
    assert torch.equal(fresh.encode_texts(texts), expected[1])


def test_using_a_backbone_changes_nothing(backbone: Backbone, tmp_path: Path) -> None:
    seal, cache = Seal(backbone), ArrayCache(tmp_path)
    view = View(tiny.examples(3, 3).images, backbone, cache)
    torch.rand(1), np.random.random(), random.random()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        view.tokens_at(1, [0])
        view.features([0, 1])
        backbone.encode_texts(["a barn owl"])
        assert seal.intact()
    with torch.inference_mode():
        backbone.encode_texts(["a zebra"])
    copied = copy.deepcopy(backbone)
    copied.model.ln_final.weight.data.zero_()
    seal.verify("toy")
    seal.verify("toy", thoroughly=False)
    assert len(list(tmp_path.glob("*/*.npy"))) >= 2
    assert len(backbone._kept) == 2


def test_the_quick_check_sees_tensors_that_were_assigned_or_written_in_place(backbone: Backbone) -> None:
    seal = Seal(backbone)
    add_in_place(backbone)
    with pytest.raises(SharedStateChangedError, match="values of tensor"):
        seal.verify("toy", thoroughly=False)
