from pathlib import Path
from typing import Any

import pytest
import torch
from dear_learners import BACKBONE, CLASSES, ROLES, Make, Roles, drawn, table

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.methods.dear import DeAR, DeARConfig


@pytest.fixture
def dear(tmp_path: Path) -> Make:
    """A learner with these roles, and with tokens and weights drawn large enough to matter."""

    def make(kinds: Roles = ROLES, backbone: Backbone = BACKBONE, **config: Any) -> DeAR:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.json"
        table(kinds, backbone).save(path)
        settings = {"first_layer": 1, "n_text": 2, "roles": str(path)} | config
        learner = DeAR(backbone, DeARConfig(**settings), CLASSES, torch.Generator().manual_seed(0))
        return drawn(learner)

    return make
