"""What is shown of a method: its card. Those of the built-in methods are kept in a file, so that showing them imports
no method and not torch.

`python tools/method_cards.py` writes the file. It names the digest of the methods' sources: when a source has changed
since, the file does not count and the cards are made from the methods themselves.
"""

import importlib.metadata
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.errors import UserError, message_of, one_line
from promptarena.benchmark.core.keys import digest
from promptarena.benchmark.core.paths import METHODS
from promptarena.benchmark.core.protocol_table import DEFAULT_PROTOCOL, PROTOCOLS, Protocol
from promptarena.benchmark.core.recipe import Recipe, TrainingTask

if TYPE_CHECKING:
    from promptarena.benchmark.backbone.clip import Backbone
    from promptarena.benchmark.plugins.learner import Learner
    from promptarena.benchmark.plugins.registry import Broken, Method

GROUP = "promptarena.methods"
OURS = "promptarena"
ALL = "all"
"""In a list of methods this word means all of them, so no method may have this name."""
COUNTED_CLASSES = 100
"""The number of classes for which trainable parameters are counted."""


class Setting(BaseModel):
    """A setting of a method: its full name, its default as text, and what it means."""

    model_config = ConfigDict(frozen=True)

    name: str
    default: str
    meaning: str


class MethodCard(BaseModel):
    """What `promptarena methods list` and `methods show` say of a method.

    Args:
        name: Its name in commands and tables.
        origin: Where it comes from: a package and its version, or a file.
        title, paper, venue, year, url, parity: As in `About`.
        assumed: The choices that paper and code leave open; settings by their full names.
        trains: Whether it is trained or random, so that it is run once for each seed.
        ablations: The names of its ablations.
        description: The docstring of its class.
        settings: Its own settings and those of its recipe.
        recipes: The settings that differ from their defaults, for each protocol: on the source dataset, and on others.
        parameters: Trainable parameters for `COUNTED_CLASSES` classes; None if they cannot be counted.
        remark: Why they cannot be counted.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    origin: str
    title: str
    paper: str
    venue: str
    year: int
    url: str
    parity: str
    assumed: tuple[str, ...]
    trains: bool
    ablations: tuple[str, ...]
    description: str
    settings: tuple[Setting, ...]
    recipes: Mapping[str, tuple[str, str]]
    parameters: int | None
    remark: str = ""


def card_of(method: "Method", backbone: "Backbone") -> MethodCard:
    """Make the card of a method.

    Args:
        method: The method.
        backbone: The CLIP on which trainable parameters are counted; its weights do not matter.

    Returns:
        The card.
    """
    from promptarena.benchmark.plugins.learner import assumed_settings

    learner, about = method.learner, method.learner.about
    assumed = assumed_settings(learner.config_type)
    settings = [
        Setting(
            name=f"{method.name}.{name}",
            default=repr(field.default) + (" (assumed)" if name in assumed else ""),
            meaning=field.description or "",
        )
        for name, field in learner.config_type.model_fields.items()
    ]
    settings += [
        Setting(
            name=f"{method.name}.recipe.{name}",
            default="see below" if field.is_required() else repr(field.default),
            meaning=field.description or "",
        )
        for name, field in Recipe.model_fields.items()
    ]
    parameters, remark = _trainable(learner, backbone)
    return MethodCard(
        name=method.name,
        origin=method.origin,
        title=about.title,
        paper=about.paper,
        venue=about.venue,
        year=about.year,
        url=about.url,
        parity=about.parity,
        assumed=(*about.assumed, *(f"{method.name}.{name}" for name in assumed)),
        trains=learner.seeded,
        ablations=tuple(learner.ablations),
        description=inspect.cleandoc(learner.__doc__ or ""),
        settings=tuple(settings),
        recipes={
            protocol: (
                _recipe(learner, protocol, is_source=True),
                "" if info.is_transfer else _recipe(learner, protocol, is_source=False),
            )
            for protocol, info in PROTOCOLS.items()
            if not info.trained_as
        },
        parameters=parameters,
        remark=remark,
    )


def _recipe(learner: "type[Learner]", protocol: Protocol, *, is_source: bool) -> str:
    try:
        config, recipe = learner.preset(TrainingTask(protocol=protocol, shots=16, is_source=is_source))
    except (Exception, SystemExit) as error:  # a plugin's method may raise anything
        return f"preset fails: {one_line(error)}"
    if not learner.seeded:
        return "no training"
    changed = recipe.model_dump(exclude_defaults=True) | config.model_dump(exclude_defaults=True)
    return ", ".join(f"{name} {value!r}" for name, value in changed.items())


def _trainable(learner: "type[Learner]", backbone: "Backbone") -> tuple[int | None, str]:
    """The number of trainable parameters, and the reason if it is not known."""
    import torch

    classes = Classes(tuple(f"class {number}" for number in range(1, COUNTED_CLASSES + 1)), "a photo of a {}.")
    try:
        config, recipe = learner.preset(TrainingTask(protocol=DEFAULT_PROTOCOL, shots=16, is_source=False))
        built = learner(backbone, config, classes, torch.Generator().manual_seed(0))
    except UserError as error:
        return None, message_of(error)
    except (Exception, SystemExit) as error:  # a plugin's method may raise anything
        return None, one_line(error)
    count = sum(parameter.numel() for parameter in built.parameters())
    if recipe.epochs > 0 and count == 0:
        return None, "its parameters are known once it has seen images"
    return count, ""


def cards_file() -> Path:
    """The file of the built-in methods' cards."""
    return METHODS / "cards.json"


def source_digest() -> str:
    """SHA-256 of the sources that decide the built-in methods' cards."""
    rooms = Path(__file__).parents[1]
    harness = [rooms / "plugins" / "learner.py", rooms / "core" / "recipe.py", rooms / "core" / "protocol_table.py"]
    sources = sorted(METHODS.glob("*.py")) + harness + [Path(__file__)]
    return digest(*(path.read_text(encoding="utf-8") for path in sources))


def cards_text(cards: Sequence[MethodCard]) -> str:
    """The text of the cards' file. The version of promptarena is left out, so that a release does not change it."""
    plain = [card.model_dump(mode="json", exclude={"origin"}) for card in cards]
    return json.dumps({"sources": source_digest(), "cards": plain}, indent=1, ensure_ascii=False) + "\n"


def built_in_cards() -> dict[str, MethodCard] | None:
    """The kept cards of the built-in methods by name, or None if there is no file or it is not that of the sources."""
    try:
        document = json.loads(cards_file().read_text(encoding="utf-8"))
        if document["sources"] != source_digest():
            return None
        origin = f"{OURS} {importlib.metadata.version(OURS)}"
        cards = [MethodCard(origin=origin, **card) for card in document["cards"]]
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        return None
    return {card.name: card for card in cards}


def method_cards(
    backbone: "Callable[[], Backbone]", plugins: Sequence[Path] = (), *, kept: bool = True
) -> "tuple[dict[str, MethodCard], tuple[Broken, ...]]":
    """The cards of all methods: built-in, of installed packages, and of the files given.

    Args:
        backbone: Makes the CLIP on which parameters are counted; it needs no weights. It is called only where a card
            has to be made.
        plugins: Python files that define learners.
        kept: Whether the kept cards may be used. They are counted on the miniature's CLIP.

    Returns:
        The cards by name, from the oldest method to the newest, and the plugins that cannot be used.

    Raises:
        UserError: A file cannot be used, or the backbone cannot be made.
    """
    known = built_in_cards() if kept else None
    if known and not plugins and not foreign_methods():
        return known, ()
    from promptarena.benchmark.plugins.registry import load_registry

    registry, counted_on = load_registry(plugins), backbone()
    made = {
        name: known[name] if known and method.distribution.startswith(f"{OURS} ") else card_of(method, counted_on)
        for name, method in registry.methods.items()
    }
    return made, tuple(registry.broken.values())


def method_names() -> list[str]:
    """The names of all installed methods. Nothing of them is imported, so a broken one is named too."""
    return sorted({point.name for point in importlib.metadata.entry_points(group=GROUP)})


def foreign_methods() -> list[str]:
    """The names of the methods of other installed packages; nothing of them is imported."""
    points = importlib.metadata.entry_points(group=GROUP)
    return sorted({point.name for point in points if point.dist is None or point.dist.name != OURS})
