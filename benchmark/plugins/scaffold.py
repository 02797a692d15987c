"""Writes the files of a new method: a plugin that works, and a test that runs the contract checks on it."""

import importlib.util
import keyword
import re
from collections.abc import Collection
from pathlib import Path
from string import Template
from typing import NamedTuple

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.plugins.cards import ALL
from promptarena.benchmark.plugins.families import GROUPS

PLUGIN = Template('''"""$title: one learned offset for all class features."""

from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from promptarena.plugin import About, Backbone, Classes, Config, Learner, Recipe, TrainingTask


class ${title}Config(Config):
    """Settings of $title."""

    scale: float = Field(1.0, gt=0, description="factor of the offset")


class $title(Learner):
    """Authors, "The paper's title", venue and year.

    g_c = T_c + scale * b, with T (C, D) the frozen text features and b (D,) learned, zero at first. Cross-entropy on
    logits = s n(f) n(g)^T, with f (B, D) the frozen image features and n(x) = x / |x|.
    """

    about = About("$title", "The paper's title", "venue", 2026, "https://example.org")
    config_type = ${title}Config
    config: ${title}Config

    def __init__(
        self,
        backbone: Backbone,
        config: ${title}Config,
        classes: Classes,
        generator: torch.Generator,
    ) -> None:
        super().__init__(backbone, config, classes, generator)
        self.b = nn.Parameter(torch.zeros(backbone.embed_dim))

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[${title}Config, Recipe]:
        """The same for every protocol, number of shots and dataset."""
        return ${title}Config(), Recipe(epochs=5, batch_size=32, lr=0.002)

    def prompts(self, classes: Classes) -> Tensor:
        """T (C, D): the dataset's own template with each class name, encoded once."""
        with torch.no_grad():
            return self.backbone.encode_texts(classes.filled())

    def text_features(self, prompts: Any) -> Tensor:
        """g (C, D)."""
        return prompts + self.config.scale * self.b
''')

VISION = Template('''"""$title: learned tokens in the image tower."""

from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from promptarena.plugin import About, Backbone, Classes, Config, Images, Learner, Recipe, TrainingTask, edits


class ${title}Config(Config):
    """Settings of $title."""

    n: int = Field(4, ge=1, description="learned tokens")


class $title(Learner):
    """Authors, "The paper's title", venue and year.

    The image tower reads [c, E, P], with c the class token, E the patches and P (n, W) learned, first drawn from
    N(0, 0.02^2). Cross-entropy on logits = s n(f) n(T)^T, with f (B, D) its features, T (C, D) the frozen text features
    and n(x) = x / |x|.
    """

    about = About("$title", "The paper's title", "venue", 2026, "https://example.org")
    config_type = ${title}Config
    config: ${title}Config

    def __init__(
        self,
        backbone: Backbone,
        config: ${title}Config,
        classes: Classes,
        generator: torch.Generator,
    ) -> None:
        super().__init__(backbone, config, classes, generator)
        self.p = nn.Parameter(edits.drawn_context(backbone.vision.width, config.n, generator))

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[${title}Config, Recipe]:
        """The same for every protocol, number of shots and dataset."""
        return ${title}Config(), Recipe(epochs=5, batch_size=32, lr=0.002)

    def prompts(self, classes: Classes) -> Tensor:
        """T (C, D): the dataset's own template with each class name, encoded once."""
        with torch.no_grad():
            return self.backbone.encode_texts(classes.filled())

    def text_features(self, prompts: Any) -> Tensor:
        """T (C, D)."""
        return prompts

    def image_features(self, images: Images) -> Tensor:
        """f (B, D): the tokens before block 0 are frozen and cached; P is appended to them."""
        return self.backbone.image_features_from(images.tokens_at(0), edits={0: edits.append(self.p)})
''')

TEST = Template('''"""$title keeps the contract of promptarena's methods."""

from pathlib import Path

from promptarena.benchmark.contract.kit import check
from promptarena.benchmark.plugins.registry import load_registry

METHOD = load_registry((Path(__file__).with_name("$stem.py"),)).get("$name")


def test_it_keeps_the_contract() -> None:
    broken = [finding for finding in check(METHOD) if finding.passed is False]
    assert not broken, "\\n".join(map(str, broken))
''')


class Written(NamedTuple):
    """A new method's name and its two files."""

    name: str
    plugin: Path
    test: Path


def write_method(name: str, folder: Path, taken: Collection[str], *, vision: bool = False) -> Written:
    """Write the plugin NAME.py and its test test_NAME.py.

    Args:
        name: The method's name: letters, digits, "-" or "_".
        folder: Where to write; created if it does not exist.
        taken: The names of the known methods.
        vision: Whether it learns in the image tower, not in the text features.

    Returns:
        The method's name and the two files.

    Raises:
        UserError: The name cannot be used or is taken, a file exists already, or the folder cannot be written.
    """
    stem = name.replace("-", "_")
    method = stem.replace("_", "-")
    title = "".join(part.capitalize() for part in stem.split("_"))
    written = Written(method, folder / f"{stem}.py", folder / f"test_{stem}.py")
    plugin = VISION if vision else PLUGIN
    _check_name(name, stem, title, plugin)
    if method in taken or method in (ALL, *GROUPS):
        raise UserError(f"method name {method!r} is taken; choose another")
    for path in (written.plugin, written.test):
        if path.exists():
            raise UserError(f"{path} exists already; choose another name or --folder")
    if importlib.util.find_spec(stem) is not None:
        raise UserError(f"a file {stem}.py would hide the Python module of that name; choose another name")
    words = {"name": method, "stem": stem, "title": title}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written.plugin.write_text(plugin.substitute(words), encoding="utf-8")
        written.test.write_text(TEST.substitute(words), encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}; choose another --folder") from error
    return written


def _check_name(name: str, stem: str, title: str, plugin: Template) -> None:
    if not stem.isidentifier() or keyword.iskeyword(stem) or stem.startswith("_"):
        raise UserError(f"{name!r} cannot name a method: use letters, digits, - or _, and begin with a letter")
    if re.search(rf"\b{title}\b", plugin.template):
        raise UserError(f"the new file needs the name {title} for something else; choose another name")
