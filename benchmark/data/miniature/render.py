"""Renders the miniature datasets: from a card's options to images and labels."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from promptarena.benchmark.core.errors import UserError, unknown
from promptarena.benchmark.core.keys import generator
from promptarena.benchmark.data.miniature import compose, digits, textures
from promptarena.benchmark.data.miniature.options import (
    Labels,
    Options,
    Split,
    labels_of,
    per_class,
    read_options,
)
from promptarena.benchmark.data.miniature.pack import Style, load_pack

Pixels = npt.NDArray[np.uint8]

_CHUNK = 512
"""Images rendered at a time. It decides pixels: each chunk takes its random numbers from one stream."""

_SPECIMENS: dict[Split, range] = {"train": range(100), "val": range(100, 110), "test": range(110, 174)}
"""The handwritten examples of each digit, after shuffling, that a split may use: no two splits share one."""


def render(card_options: Mapping[str, Any], name: str, split: Split) -> tuple[Pixels, Labels]:
    """Images uint8 (N, 48, 48, 3), RGB, and labels int64 (N,) of a split, ordered by label, then instance.

    A pure function of the pack, the options, the dataset's name and the split. Raises UserError for bad options, a
    split the options do not have, and a missing or damaged pack.
    """
    options = read_options(card_options, name)
    label_of_row = labels_of(card_options, name, split)
    instances = np.tile(np.arange(per_class(options, name, split)), len(options.concepts))
    rng = generator("miniature", name, split)
    draw = {"sprites": _sprites, "textures": _textures, "digits": _digits}[options.kind]
    chunks = []
    for start in range(0, len(label_of_row), _CHUNK):
        rows = slice(start, start + _CHUNK)
        rendered = draw(options, name, split, label_of_row[rows], instances[rows], rng)
        chunks.append((rendered * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy())
    return np.concatenate(chunks), label_of_row


def _sprites(
    options: Options, name: str, split: Split, labels: Labels, instances: Labels, rng: np.random.Generator
) -> torch.Tensor:
    styles = [load_pack().style(style) for style in options.styles]
    chosen = [_drawn_by(styles, options.concepts[label], name) for label in labels]
    picked = [drawn[instance % len(drawn)] for drawn, instance in zip(chosen, instances, strict=True)]
    pixels = np.stack(
        [style.pixels[style.rows[options.concepts[label]][0]] for style, label in zip(picked, labels, strict=True)]
    )
    one_colour = np.array([style.one_colour for style in picked])
    scenes = compose.draw_scenes(rng, len(labels), options.knobs)
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
    options: Options, name: str, split: Split, labels: Labels, instances: Labels, rng: np.random.Generator
) -> torch.Tensor:
    kinds = np.array([_index(textures.NAMES, "texture", concept) for concept in options.concepts])[labels]
    mask = textures.paint(kinds, rng, options.knobs.frequency, options.knobs.rotation)[:, None]
    pair = rng.random((2, len(labels), 3), np.float32)
    close = np.abs(pair[0] - pair[1]).sum(axis=1) < 0.6
    pair[1][close] = (pair[0][close] + 0.5) % 1
    canvas = pair[0][:, :, None, None] + mask * (pair[1] - pair[0])[:, :, None, None]
    return compose.finish(torch.from_numpy(canvas), rng, options.knobs)


def _digits(
    options: Options, name: str, split: Split, labels: Labels, instances: Labels, rng: np.random.Generator
) -> torch.Tensor:
    values = np.array([_index(digits.NAMES, "digit", concept) for concept in options.concepts])[labels]
    places = _SPECIMENS[split]
    if per_class(options, name, split) > len(places):
        raise UserError(
            f"dataset {name!r}: there are {len(places)} handwritten {split} specimens per digit; lower per_class"
        )
    specimens = [
        digits.handwritten(int(value), places[number]) for value, number in zip(values, instances, strict=True)
    ]
    scenes = compose.draw_scenes(rng, len(labels), options.knobs)
    return compose.compose(np.stack(specimens), np.ones(len(labels), bool), scenes, rng, options.knobs)


def _index(names: tuple[str, ...], what: str, name: str) -> int:
    if name not in names:
        raise unknown(what, name, names)
    return names.index(name)
