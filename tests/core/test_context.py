"""The context of the text encoder: a text that does not fit is refused by name."""

import pytest
import tiny
import torch

from promptarena.benchmark.backbone.clip import Prompts
from promptarena.benchmark.core.errors import UserError


def test_a_text_beyond_the_context_is_refused_by_name() -> None:
    backbone = tiny.backbone()
    long = "owl " * 23
    with pytest.raises(UserError, match="25 tokens exceeds the context of 24"):
        backbone.tokenize(["owl", long])
    assert backbone.tokenize(["owl " * 22]).shape[1] == 24
    with pytest.raises(UserError, match="25 tokens exceed"):
        backbone.text_tokens(Prompts(torch.zeros(1, 25, backbone.text.width), torch.tensor([3])))
