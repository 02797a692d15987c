"""Suites: a TOML file that names a backbone, the datasets in table order, and the default runs."""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from promptarena.benchmark.core.config_files import Text, check, read_toml
from promptarena.benchmark.core.errors import UserError, unknown
from promptarena.benchmark.core.files import expanded
from promptarena.benchmark.core.paths import DATASETS
from promptarena.benchmark.core.protocol_table import DEFAULT_PROTOCOL, Protocol, protocol_info
from promptarena.benchmark.core.recipe import TrainingTask
from promptarena.benchmark.core.suite_layout import SuiteLayout, limit_of, limited_name
from promptarena.benchmark.data.cards import Card, SplitName, load_card, names_a_file
from promptarena.benchmark.planning.training_defaults import TrainingDefaults

_SUITES = DATASETS / "suites"
EMBEDDED = "mini"
"""As `pretrained`: the small CLIP in the package."""
_LIMITED = re.compile(r"(?P<suite>.+)@(?P<limit>\d+)")

Shots = Annotated[int, Field(ge=1, strict=True)]
Seed = Annotated[int, Field(ge=0, strict=True)]


class BackboneSource(BaseModel):
    """Where the one CLIP of a suite comes from.

    The architecture is open_clip's name (`architecture`) or a JSON file (`config`), the weights open_clip's tag
    (`pretrained`) or a file (`weights`). Paths are written relative to the suite's file, absolute once loaded.
    `pretrained` = "mini" alone is the small CLIP in the package, which needs no network.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: Text | None = None
    config: Path | None = None
    pretrained: Text | None = None
    weights: Path | None = None

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if self.pretrained == EMBEDDED:
            if self.model_fields_set != {"pretrained"}:
                raise ValueError(f"pretrained = {EMBEDDED!r} is the CLIP in the package; leave the other fields out")
            return self
        if (self.architecture is None) == (self.config is None):
            raise ValueError("give either architecture (open_clip's name) or config (a JSON file)")
        if (self.pretrained is None) == (self.weights is None):
            raise ValueError("give either pretrained (open_clip's tag, or 'mini') or weights (a local file)")
        if self.pretrained is not None and self.architecture is None:
            raise ValueError("pretrained needs architecture, open_clip's name of the model the tag belongs to")
        return self

    @property
    def given_architecture(self) -> str | Path:
        """The architecture as the backbone's loaders take it: open_clip's name or the path of a JSON file."""
        return self.config or self.architecture or ""

    @property
    def given_weights(self) -> str | Path:
        """The weights as the backbone's loaders take them: open_clip's tag or the path of a file."""
        return self.weights or self.pretrained or ""


DEFAULT_METHODS = ("zeroshot", "linear-probe", "coop", "maple", "promptsrc", "rada", "dear")
"""What is compared when neither the user nor the suite names methods."""


class Suite(BaseModel):
    """A comparison: one backbone, its datasets and the defaults of a run.

    `datasets` are trained and scored on one by one (base-to-novel, few-shot). Transfer protocols train on `source`:
    cross-dataset scores `targets`, domain-generalization scores `variants`. All are names of cards, in table order.
    `methods`, `protocols` and `seeds` are what runs when the user names none; `shots` is the number of training images
    per class, `few_shot_shots` the numbers of the few-shot protocol. Results of a `miniature` suite are labelled so. A
    suite whose backbone is the small CLIP in the package is one, and trains as the suite `mini` unless it says how.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z0-9_-]+$")]
    title: Text
    miniature: bool = False
    backbone: BackboneSource
    datasets: tuple[Text, ...] = ()
    source: Text | None = None
    targets: tuple[Text, ...] = ()
    variants: tuple[Text, ...] = ()
    methods: Annotated[tuple[Text, ...], Field(min_length=1)] = DEFAULT_METHODS
    protocols: Annotated[tuple[Protocol, ...], Field(min_length=1)] = (DEFAULT_PROTOCOL,)
    shots: Shots = 16
    few_shot_shots: Annotated[tuple[Shots, ...], Field(min_length=1)] = (1, 2, 4, 8, 16)
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (1, 2, 3)
    training: TrainingDefaults = TrainingDefaults()

    _cards: dict[str, Card] = PrivateAttr(default_factory=dict)

    @property
    def limit(self) -> int | None:
        """The most test images of a dataset that are scored; None: all of them."""
        return limit_of(self.name)

    @model_validator(mode="after")
    def _protocols_have_datasets(self) -> Self:
        for name in ("datasets", "targets", "variants", "methods", "protocols", "few_shot_shots", "seeds"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"field {name!r} names one thing twice: {list(values)}")
        if self.source is not None and self.source in self.targets + self.variants:
            raise ValueError("the source is scored anyway; leave it out of targets and variants")
        for protocol in self.protocols:
            missing = [field for field in protocol_info(protocol).needs if not getattr(self, field)]
            if missing:
                raise ValueError(f"protocol {protocol!r} needs the field {missing[0]!r}")
        return self

    @property
    def dataset_names(self) -> tuple[str, ...]:
        """Every dataset of the suite once: datasets, source, targets, variants."""
        source = () if self.source is None else (self.source,)
        return tuple(dict.fromkeys((*self.datasets, *source, *self.targets, *self.variants)))

    def task(self, protocol: Protocol, dataset: str, shots: int) -> TrainingTask:
        """What a method may know of a training.

        Args:
            protocol: The protocol.
            dataset: One of `dataset_names`, which is trained on.
            shots: Training images per class.

        Returns:
            The task, from which the method chooses its configuration and recipe.
        """
        card = self.card(dataset)
        return TrainingTask(
            protocol=protocol,
            shots=shots,
            dataset=card.mirrors or card.name,
            card=card.name,
            is_source=dataset == self.source,
        )

    def with_own_cards(self, built_in: Iterable[str]) -> Self:
        """This suite for another machine than it was loaded on, where the package may lie at another place.

        Args:
            built_in: The names of those of its cards that come with the package.

        Returns:
            A copy that has this machine's cards for them.
        """
        copied = self.model_copy()
        copied._cards = self._cards | {name: load_card(name) for name in built_in}
        return copied

    def card(self, name: str) -> Card:
        """The card of one of `dataset_names`. Raises UserError for another name."""
        if name not in self._cards:
            raise unknown("dataset", name, self._cards)
        return self._cards[name]


def load_suite(name_or_path: str | Path) -> Suite:
    """Load a suite and all its cards.

    A suite names a card by its name (searched in the folder of the suite's file, then among the built-in cards) or by
    its path relative to the suite's file.

    Args:
        name_or_path: The name of a built-in suite, or the path of a `.toml` file; `@N` at its end limits the test
            images of each dataset to N.

    Returns:
        The suite. With a limit it has a name of its own, so that its runs are never in a table with full ones.

    Raises:
        UserError: The suite is unknown, something in it or in a card is wrong, or the limit is below 2; one line.
    """
    if isinstance(name_or_path, str) and (limited := _LIMITED.fullmatch(name_or_path)):
        return _limited(load_suite(limited["suite"]), int(limited["limit"]))
    if not names_a_file(name_or_path):
        name = str(name_or_path)
        if name not in list_suites():
            raise unknown("suite", name, list_suites())
        path = _SUITES / f"{name}.toml"
    else:
        path = Path(name_or_path).absolute()
    suite = check(str(path), read_toml(path), Suite)
    if suite.name != path.stem:
        raise UserError(
            f"{path}: field 'name' is {suite.name!r}, but the file is called {path.stem!r}; make them equal"
        )
    if limit_of(suite.name) is not None:
        raise UserError(f"{path}: field 'name' is {suite.name!r}, the name of a suite with a limit; choose another")
    return _with_cards(_with_embedded(suite) if suite.backbone.pretrained == EMBEDDED else suite, path)


def _with_embedded(suite: Suite) -> Suite:
    """The suite with the CLIP of the package, and with its rates: published ones do not fit its logit scale."""
    mini = load_suite(EMBEDDED)
    training = suite.training if "training" in suite.model_fields_set else mini.training
    return suite.model_copy(update={"backbone": mini.backbone, "training": training, "miniature": True})


def limited(suite: str, limit: int | None) -> str:
    """What names a suite with a limit.

    Args:
        suite: A suite's name or path.
        limit: The most test images of a dataset; None: all.

    Returns:
        What `load_suite` takes.

    >>> limited("mini", 20)
    'mini@20'
    """
    return suite if limit is None else f"{suite}@{limit}"


def without_limit(suite: str) -> str:
    """The suite's name or path in what `limited` returns."""
    found = _LIMITED.fullmatch(suite)
    return suite if found is None else found["suite"]


def _limited(suite: Suite, limit: int) -> Suite:
    if suite.limit is not None:
        raise UserError(f"suite {suite.name} has a limit already; give one limit")
    if limit < 2:
        raise UserError(f"a limit of {limit} test images leaves half of the classes without one; give at least 2")
    title = f"{suite.title}, at most {limit} test images per dataset"
    return suite.model_copy(update={"name": limited_name(suite.name, limit), "title": title})


def list_suites() -> tuple[str, ...]:
    """The names of the built-in suites, sorted."""
    return tuple(sorted(path.stem for path in _SUITES.glob("*.toml")))


def _with_cards(suite: Suite, path: Path) -> Suite:
    cards = {reference: _find_card(reference, path) for reference in suite.dataset_names}
    by_name: dict[str, Card] = {}
    for card in cards.values():
        other = by_name.setdefault(card.name, card)
        if other.path != card.path:
            raise UserError(f"{path}: two cards are called {card.name!r}: {other.path} and {card.path}; rename one")
    loaded = suite.model_copy(
        update={
            "backbone": _absolute(suite.backbone, path.parent),
            "datasets": tuple(cards[reference].name for reference in suite.datasets),
            "source": None if suite.source is None else cards[suite.source].name,
            "targets": tuple(cards[reference].name for reference in suite.targets),
            "variants": tuple(cards[reference].name for reference in suite.variants),
        }
    )
    loaded._cards = by_name
    _check_splits(loaded, path)
    return loaded


def _find_card(reference: str, suite_path: Path) -> Card:
    if names_a_file(reference):
        return load_card(suite_path.parent / reference)
    beside = suite_path.parent / f"{reference}.toml"
    if os.path.lexists(beside) and beside != suite_path:
        return load_card(beside)
    try:
        return load_card(reference)
    except UserError as error:
        raise UserError(f"{suite_path}: {error}") from error


def _absolute(backbone: BackboneSource, folder: Path) -> BackboneSource:
    def join(path: Path | None) -> Path | None:
        return None if path is None else (folder / expanded(path)).resolve()

    return backbone.model_copy(update={"config": join(backbone.config), "weights": join(backbone.weights)})


def _check_splits(suite: Suite, path: Path) -> None:
    trained = {*suite.datasets, suite.source} - {None}
    for name in suite.dataset_names:
        needed: tuple[SplitName, ...] = ("train", "test") if name in trained else ("test",)
        for split in needed:
            if not suite.card(name).has_split(split):
                raise UserError(
                    f"{path}: dataset {name!r} has no {split} images (its card's [counts]), which its role needs"
                )


def layout_of(suite: Suite) -> SuiteLayout:
    """What the tables need of a loaded suite.

    Args:
        suite: A suite from `load_suite`.

    Returns:
        Its names, titles and datasets in table order.
    """
    return SuiteLayout(
        name=suite.name,
        datasets=suite.datasets,
        source=suite.source,
        targets=suite.targets,
        variants=suite.variants,
        few_shot_shots=suite.few_shot_shots,
        titles={name: suite.card(name).title for name in suite.dataset_names},
        barred=_barred(suite),
    )


def _barred(suite: Suite) -> str:
    if suite.limit is not None:
        return f"at most {suite.limit} test images per dataset"
    if suite.training != TrainingDefaults():
        return "recipes changed by the suite"
    return "" if suite.backbone.pretrained == "openai" else "weights other than the tag openai"
