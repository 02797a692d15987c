"""What methods of a process share: every change is named, and undone."""

from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from promptarena.benchmark.backbone import clip
from promptarena.benchmark.backbone.shared_state import FLAGS, SharedState

CHANGES: dict[str, Callable[[], object]] = {
    "torch's default type": lambda: torch.set_default_dtype(torch.float64),
    "torch's number of threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "gradients on or off": lambda: torch.set_grad_enabled(False),
    "numpy's treatment of errors": lambda: np.seterr(all="raise"),
    "the hooks of all modules": lambda: nn.modules.module.register_module_forward_hook(lambda *_: None),
    "torch.nn.functional.relu": lambda: setattr(F, "relu", F.gelu),
    "promptarena.benchmark.backbone.clip.Backbone.encode_texts": lambda: setattr(
        clip.Backbone, "encode_texts", lambda self, texts: None
    ),
}


@pytest.mark.parametrize(("name", "change"), CHANGES.items(), ids=CHANGES)
def test_a_change_is_named_and_undone(name: str, change: Callable[[], object]) -> None:
    state = SharedState()
    assert state.changes() == ""
    try:
        change()
        assert state.changes() == name
    finally:
        state.restore()
    assert state.changes() == ""


def test_flags_of_a_with_block_are_left_out_inside_it() -> None:
    state = SharedState()
    with torch.no_grad():
        assert state.changes(within=True) == ""
        assert state.changes() == "gradients on or off"


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)
def test_every_flag_can_be_set_to_what_it_is(flag: object) -> None:
    before = flag.read()  # type: ignore[attr-defined]
    with suppress(NotImplementedError):
        flag.set(before)  # type: ignore[attr-defined]
    assert str(flag.read()) == str(before)  # type: ignore[attr-defined]
