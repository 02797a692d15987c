"""Captions for pretraining: what a caption says about an image, and what must therefore be true of the image."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from promptarena.benchmark.data.miniature.compose import COLOUR_NAMES
from promptarena.benchmark.data.miniature.pack import Concept
from promptarena.benchmark.data.miniature.textures import NAMES as PATTERN_NAMES

PLACES = ("top left", "top", "top right", "left", "middle", "right", "bottom left", "bottom", "bottom right")
"""Row-major over a 3 x 3 grid of the frame."""

PLAIN = (
    *("a photo of a {}.",) * 14,
    *("a photo of the {}.",) * 4,
    *("a photo of {}.",) * 2,
    "a picture of a {}.",
    "an icon of a {}.",
    "a drawing of a {}.",
    "an emoji of a {}.",
    "a cartoon {}.",
    "{}",
    "{}.",
    "a bad photo of the {}.",
    "itap of a {}.",
    "art of the {}.",
    "a origami {}.",
    "a {} in a video game.",
)
KIND = (*("a photo of a {}, a type of {}.",) * 3, "a photo of {}, a type of {}.", "a {}, a type of {}.", "{}, {}.")
SEEN = ("it is", "this is", "you can see", "here is")

_KIND_OF_SUBGROUP = {
    "plant-flower": "plant",
    "plant-other": "plant",
    "transport-ground": "vehicle",
    "transport-water": "vehicle",
    "transport-air": "vehicle",
    "sky-weather": "weather",
    "time": "object",
    "country-flag": "flag",
    "sport": "sport",
    "person-sport": "sport",
    "clothing": "clothing",
    "musical-instrument": "instrument",
    "dishware": "object",
}
_KIND_OF_GROUP = {
    "smileys-emotion": "face",
    "people-body": "person",
    "animals-nature": "animal",
    "food-drink": "food",
    "travel-places": "place",
    "activities": "activity",
    "objects": "object",
    "symbols": "symbol",
    "flags": "flag",
}


def kind_of(concept: Concept) -> str:
    """The broad kind a caption may name: animal, plant, vehicle, food ..."""
    if concept.subgroup.startswith(("hand", "body")):
        return "gesture" if concept.subgroup.startswith("hand") else "body part"
    return _KIND_OF_SUBGROUP.get(concept.subgroup, _KIND_OF_GROUP[concept.group])


@dataclass(frozen=True)
class Facts:
    """What a caption states about its images; None where it states nothing.

    Indices into COLOUR_NAMES (background, ink), textures.NAMES (pattern) and PLACES; `large` is a stated size.
    """

    colour: int | None = None
    pattern: int | None = None
    place: int | None = None
    large: bool | None = None
    ink: int | None = None


def pick(rng: np.random.Generator, options: tuple[str, ...]) -> str:
    """One of `options`."""
    return options[int(rng.integers(len(options)))]


def _ground(facts: Facts) -> str:
    colour = COLOUR_NAMES[facts.colour or 0]
    return f"{PATTERN_NAMES[facts.pattern]} {colour}" if facts.pattern is not None else f"{colour}"


def attributes(rng: np.random.Generator, patterned: float) -> Facts:
    """Random facts worth stating: a background always, a pattern for a share `patterned`, a place half of the time."""
    return Facts(
        colour=int(rng.integers(len(COLOUR_NAMES))),
        pattern=int(rng.integers(len(PATTERN_NAMES))) if rng.random() < patterned else None,
        place=int(rng.integers(9)) if rng.random() < 0.5 else None,
    )


def state(name: str, facts: Facts) -> str:
    """A caption that states background and place."""
    text = f"a photo of a {name} on a {_ground(facts)} background"
    return f"{text}, {PLACES[facts.place]}." if facts.place is not None else f"{text}."


def describe(rng: np.random.Generator, concept: Concept, patterned: float) -> tuple[str, Facts]:
    """A caption for a concept, and the facts it states; `patterned` is the present share of patterned backgrounds."""
    name, roll = concept.name, rng.random()
    if roll < 0.52:
        return pick(rng, PLAIN).format(name), Facts()
    if roll < 0.67:
        return pick(rng, KIND).format(name, kind_of(concept)), Facts()
    if roll < 0.74 and concept.tags:
        tags = rng.choice(concept.tags, size=min(2, len(concept.tags)), replace=False)
        return f"a photo of a {name}, {', '.join(str(tag) for tag in tags)}.", Facts()
    if roll < 0.88:
        facts = attributes(rng, patterned)
        return state(name, facts), facts
    if roll < 0.93:
        large = bool(rng.random() < 0.5)
        return f"a photo of the {'large' if large else 'small'} {name}.", Facts(large=large)
    ink = int(rng.integers(len(COLOUR_NAMES)))
    return f"a {COLOUR_NAMES[ink]} silhouette of a {name}.", Facts(ink=ink)


def lengthen(rng: np.random.Generator, caption: str, kind: str) -> str:
    """The caption with a second sentence, so that late text positions are trained too."""
    words = "a small picture of one single" if rng.random() < 0.5 else "one of many different pictures showing some"
    return f"{caption} {pick(rng, SEEN)} {words} {kind}."


def describe_texture(rng: np.random.Generator, name: str, colours: tuple[str, str]) -> str:
    """A caption for a pure texture of two named colours."""
    roll = rng.random()
    if roll < 0.55:
        return pick(rng, ("{} texture.", "{} texture.", "a photo of a {} texture.", "a {} texture", "{}")).format(name)
    if roll < 0.75:
        return pick(rng, ("a photo of a {}.", "a {} pattern.", "a photo of a {} surface.")).format(name)
    return f"{colours[0]} and {colours[1]} {name} texture."


def describe_digit(rng: np.random.Generator, name: str) -> str:
    """A caption for a digit, by its English name."""
    options = ("a photo of the digit {}.",) * 5
    return pick(
        rng, (*options, "the digit {}.", "digit {}.", "a photo of a {}.", "a handwritten digit {}.", "{}")
    ).format(name)


def vocabulary(concepts: Iterator[Concept]) -> Iterator[str]:
    """Every piece of text captions are made of, for finding the tokens that are ever used."""
    yield from (*PLAIN, *KIND, *SEEN, *PLACES, *COLOUR_NAMES, *PATTERN_NAMES, *_KIND_OF_GROUP.values())
    yield from (
        *_KIND_OF_SUBGROUP.values(),
        "gesture",
        "body part",
        "zero one two three four five six seven eight nine",
    )
    yield "a photo of a large small background on, and silhouette of a. handwritten the digit pattern surface texture"
    yield "a small picture of one single. one of many different pictures showing some."
    for concept in concepts:
        for words in (concept.name, *concept.tags):
            yield f"{words} "
            yield f"{words}."
            yield f"{words},"
