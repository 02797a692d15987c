"""Cells of a notebook, and running one."""

import linecache
import sys

CELL = '''
import torch
from torch import nn
from promptarena.plugin import About, Classes, Config, Learner, Recipe

SCALE = 0.5


def offset(size):
    return nn.Parameter(torch.zeros(size))


class MyConfig(Config):
    factor: float = SCALE


class MyLearner(Learner):
    """One learned offset."""

    about = About("Mine", "A paper", "venue", 2026, "https://example.org")
    config_type = MyConfig

    def __init__(self, backbone, config, classes, generator):
        super().__init__(backbone, config, classes, generator)
        self.b = offset(backbone.embed_dim)

    @classmethod
    def preset(cls, task):
        return MyConfig(), Recipe(epochs=2, batch_size=32, lr=0.002)

    def prompts(self, classes: Classes):
        with torch.no_grad():
            return self.backbone.encode_texts(classes.filled())

    def text_features(self, prompts):
        return prompts + self.config.factor * self.b
'''
SMALL = {"datasets": ["digits"], "protocols": ["base-to-novel"], "seeds": [1], "quiet": True}


def run_cell(text: str, name: str) -> dict[str, object]:
    """Run a cell as a notebook does: its source is in no file, only in Python's cache of lines."""
    import types

    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    module = types.ModuleType(f"cell_{abs(hash(name))}")
    sys.modules[module.__name__] = module
    exec(compile(text, name, "exec"), module.__dict__)
    return module.__dict__
