"""Renders the miniature datasets: from a card's options to images and labels."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict, Field

from promptarena.benchmark.core.config_files import check
from promptarena.benchmark.core.errors import UserError, unknown
from promptarena.benchmark.core.keys import generator
from promptarena.benchmark.data.miniature import compose, digits, textures
from promptarena.benchmark.data.miniature.compose import Knobs
from promptarena.benchmark.data.miniature.pack import Style, load_pack, pack_digest

__all__ = ["RENDER_VERSION", "Options", "Split", "labels", "pack_digest", "render"]

RENDER_VERSION = 1
"""Increased by hand whenever the same options give other pixels than before."""

Split = Literal["train", "val", "test"]
Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]

_CHUNK = 512
"""Images rendered at a time. It decides pixels: each chunk takes its random numbers from one stream."""

_SPECIMENS: dict[Split, range] = {"train": range(100), "val": range(100, 110), "test": range(110, 174)}
"""The handwritten examples of each digit, after shuffling, that a split may use: no two splits share one."""


class Options(BaseModel):
    """The `[options]` of a miniature dataset's card.

    `kind` says what is drawn: sprites of the pack (`concepts` are its keys, `styles` the icon sets to take in turn),
    pure textures or handwritten digits (`concepts` are their names). `per_class` is the number of images by split.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["sprites", "textures", "digits"]
    concepts: Annotated[tuple[str, ...], Field(min_length=2)]
    per_class: dict[Split, Annotated[int, Field(ge=1)]]
    styles: tuple[str, ...] = ()
    knobs: Knobs = Knobs()


def labels(card_options: Mapping[str, Any], name: str, split: Split) -> Labels:
    """Labels (N,) of a split, without rendering it. Raises the same errors as `render`."""
    options = _options(card_options, name)
    return np.repeat(np.arange(len(options.concepts)), _per_class(options, name, split))


def render(card_options: Mapping[str, Any], name: str, split: Split) -> tuple[Pixels, Labels]:
    """Images uint8 (N, 48, 48, 3), RGB, and labels int64 (N,) of a split, ordered by label, then instance.

    A pure function of the pack, the options, the dataset's name and the split. Raises UserError for bad options, a
    split the options do not have, and a missing or damaged pack.
    """
    options = _options(card_options, name)
    label_of_row = labels(card_options, name, split)
    instances = np.tile(np.arange(_per_class(options, name, split)), len(options.concepts))
    rng = generator("miniature", name, split)
    draw = {"sprites": _sprites, "textures": _textures, "digits": _digits}[options.kind]
    chunks = []
    for start in range(0, len(label_of_row), _CHUNK):
        rows = slice(start, start + _CHUNK)
        rendered = draw(options, name, split, label_of_row[rows], instances[rows], rng)
        chunks.append((rendered * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy())
    return np.concatenate(chunks), label_of_row


def _options(card_options: Mapping[str, Any], name: str) -> Options:
    return check(f"dataset {name!r}: [options]", dict(card_options), Options)


def _per_class(options: Options, name: str, split: Split) -> int:
    if split not in options.per_class:
        raise UserError(f"dataset {name!r} has no {split} split; it has {', '.join(options.per_class)}")
    return options.per_class[split]


def _sprites(
    options: Options, name: str, split: Split, wanted: Labels, instances: Labels, rng: np.random.Generator
) -> torch.Tensor:
    styles = [load_pack().style(style) for style in options.styles]
    chosen = [_drawn_by(styles, options.concepts[label], name) for label in wanted]
    picked = [drawn[instance % len(drawn)] for drawn, instance in zip(chosen, instances, strict=True)]
    pixels = np.stack(
        [style.pixels[style.rows[options.concepts[label]][0]] for style, label in zip(picked, wanted, strict=True)]
    )
    one_colour = np.array([style.one_colour for style in picked])
    scenes = compose.draw_scenes(rng, len(wanted), options.knobs)
    return compose.compose(pixels, one_colour, scenes, rng, options.knobs)


def _drawn_by(styles: list[Style], concept: str, name: str) -> list[Style]:
    found = [style for style in styles if concept in style.rows]
    if not found:
        raise UserError(
            f"dataset {name!r}: none of the styles {', '.join(style.name for style in styles) or '(none given)'} "
            f"draws concept {concept!r}; add a style that does or take the class out of the card"
        )
    return found


def _textures(
    options: Options, name: str, split: Split, wanted: Labels, instances: Labels, rng: np.random.Generator
) -> torch.Tensor:
    kinds = np.array([_index(textures.NAMES, "texture", concept) for concept in options.concepts])[wanted]
    mask = textures.paint(kinds, rng, options.knobs.frequency, options.knobs.rotation)[:, None]
    pair = rng.random((2, len(wanted), 3), np.float32)
    close = np.abs(pair[0] - pair[1]).sum(axis=1) < 0.6
    pair[1][close] = (pair[0][close] + 0.5) % 1
    canvas = pair[0][:, :, None, None] + mask * (pair[1] - pair[0])[:, :, None, None]
    return compose.finish(torch.from_numpy(canvas), rng, options.knobs)


def _digits(
    options: Options, name: str, split: Split, wanted: Labels, instances: Labels, rng: np.random.Generator
) -> torch.Tensor:
    values = np.array([_index(digits.NAMES, "digit", concept) for concept in options.concepts])[wanted]
    places = _SPECIMENS[split]
    if _per_class(options, name, split) > len(places):
        raise UserError(
            f"dataset {name!r}: there are {len(places)} handwritten {split} specimens per digit; lower per_class"
        )
    specimens = [
        digits.handwritten(int(value), places[number]) for value, number in zip(values, instances, strict=True)
    ]
    scenes = compose.draw_scenes(rng, len(wanted), options.knobs)
    return compose.compose(np.stack(specimens), np.ones(len(wanted), bool), scenes, rng, options.knobs)


def _index(names: tuple[str, ...], what: str, name: str) -> int:
    if name not in names:
        raise unknown(what, name, names)
    return names.index(name)
