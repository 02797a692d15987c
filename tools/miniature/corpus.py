"""The endless pretraining corpus: a batch is a pure function of the step it is for and of its worker."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from promptarena.benchmark.core.keys import generator
from promptarena.benchmark.data.miniature import compose, digits, textures
from promptarena.benchmark.data.miniature.compose import COLOUR_NAMES, PALETTE, Scenes
from promptarena.benchmark.data.miniature.options import Knobs
from promptarena.benchmark.data.miniature.pack import Concept, Pack
from tools.miniature import captions
from tools.miniature.captions import Facts

VIEWS = 4
"""Images per caption."""
TEXTURES, DIGITS = 4, 3
"""Caption slots of a batch given to pure textures and to digits."""
_EASY_UNTIL, _HARD_FROM = 260, 1625
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class Batch:
    """`captions[i]` describes images 4i .. 4i + 3; `targets[i]` is its concept's number.

    `images` are float (4n, 3, 48, 48) in 0..1, `targets` int64 (n,).
    """

    captions: tuple[str, ...]
    images: Tensor
    targets: Tensor


@dataclass(frozen=True)
class Stage:
    """The curriculum at one moment."""

    knobs: Knobs
    pairs: float


def stage(step: int) -> Stage:
    """The curriculum at `step`: easy until step 260, harder and harder until step 1625."""
    ramp = float(np.clip((step - _EASY_UNTIL) / (_HARD_FROM - _EASY_UNTIL), 0, 1))
    knobs = Knobs(
        scale=(0.8 - 0.3 * ramp, 1.0),
        rotation=6 + 12 * ramp,
        patterned=0.1 + 0.25 * ramp,
        frequency=(2.5, 8.0),
        occluded=0.15 * ramp,
        occluder=(0.15, 0.4),
        blur=0.1 * ramp,
        tint_shift=0.05,
    )
    return Stage(knobs, pairs=0.125 * ramp)


class Corpus:
    """Captions and images in the pack's pretraining styles.

    `frequent` concepts are visited in every pass, the other `concepts` with probability `rare`. Concept numbers: the
    pack's concepts in the order given, then the textures, then the digits.
    """

    def __init__(self, pack: Pack, concepts: tuple[str, ...], frequent: frozenset[str], rare: float, seed: int) -> None:
        self._seed, self._rare = seed, rare
        self._keys = concepts
        self._concepts = [pack.concepts[key] for key in concepts]
        self._frequent = np.array([key in frequent for key in concepts])
        self._styles = [pack.style(name) for name in pack.style_names("pretrain") if not name.startswith("digit")]
        self._typefaces = pack.style("digit-typefaces")
        self._has = np.array([[key in style.rows for style in self._styles] for key in concepts])
        share = np.where([style.one_colour for style in self._styles], 2.0, 1.0)
        self._share = self._has * share

    @property
    def size(self) -> int:
        """Number of concepts, textures and digits included."""
        return len(self._keys) + len(textures.NAMES) + len(digits.NAMES)

    @property
    def concepts(self) -> list[Concept]:
        """The pack's concepts in order of their numbers."""
        return self._concepts

    def _visited(self, step: int, rank: int, slots: int) -> npt.NDArray[np.int64]:
        """`slots` different concepts: a window of an endless sequence of passes, each in its own order."""
        expected = self._frequent.sum() + self._rare * (~self._frequent).sum()
        per_pass = max(1, int(expected) // slots)
        rng = generator(self._seed, "pass", step // per_pass, rank)
        order = rng.permutation(len(self._keys))
        order = order[self._frequent[order] | (rng.random(len(order)) < self._rare)]
        start = (step % per_pass) * slots
        return np.take(order, np.arange(start, start + slots), mode="wrap")

    def batch(self, step: int, rank: int, slots: int) -> Batch:
        """The batch of worker `rank` at `step`: `slots` captions with four images each."""
        rng = generator(self._seed, "batch", step, rank)
        now = stage(step)
        knobs = now.knobs
        if rng.random() < 0.15:
            knobs = replace(knobs, noise=float(rng.uniform(0, 0.08)), mixing=float(rng.uniform(0, 0.3)))
        numbers = self._visited(step, rank, slots - TEXTURES - DIGITS)
        pairs = int(rng.binomial(len(numbers) // 2, now.pairs * 2) // 2)
        texts: list[str] = []
        facts: list[Facts] = []
        for slot in range(len(numbers)):
            if slot < 2 * pairs:
                numbers[slot] = numbers[slot - slot % 2]
                fact = captions.attributes(rng, knobs.patterned)
                if slot % 2 and fact == facts[-1]:
                    fact = replace(fact, colour=((fact.colour or 0) + 1) % len(COLOUR_NAMES))
                text = captions.state(self._concepts[numbers[slot]].name, fact)
            else:
                text, fact = captions.describe(rng, self._concepts[numbers[slot]], knobs.patterned)
            texts.append(text)
            facts.append(fact)
        if rng.random() < 0.15:
            kinds = [captions.kind_of(self._concepts[number]) for number in numbers]
            texts = [captions.lengthen(rng, text, kind) for text, kind in zip(texts, kinds, strict=True)]
        things = self._things(rng, numbers, facts, knobs)
        texture_texts, texture_images, texture_numbers = self._textures(rng, knobs)
        digit_texts, digit_images, digit_numbers = self._digits(rng, knobs)
        return Batch(
            captions=(*texts, *texture_texts, *digit_texts),
            images=torch.cat([things, texture_images, digit_images]),
            targets=torch.from_numpy(np.concatenate([numbers, texture_numbers, digit_numbers])),
        )

    def _things(
        self, rng: np.random.Generator, numbers: npt.NDArray[np.int64], facts: list[Facts], knobs: Knobs
    ) -> Tensor:
        keys = np.log(rng.random((len(numbers), len(self._styles)))) / np.maximum(self._share[numbers], 1e-9)
        order = np.argsort(-keys, axis=1)[:, :VIEWS]
        known = self._has[numbers].sum(axis=1)
        order = np.stack(
            [np.take(row, np.arange(VIEWS) % min(VIEWS, count)) for row, count in zip(order, known, strict=True)]
        )
        sprites, one_colour, flags = [], [], []
        for number, chosen in zip(numbers, order, strict=True):
            key = self._keys[number]
            for style in (self._styles[index] for index in chosen):
                sprites.append(style.pixels[style.rows[key][0]])
                one_colour.append(style.one_colour)
                flags.append(self._concepts[number].subgroup == "country-flag")
        scenes = compose.draw_scenes(rng, len(sprites), knobs)
        roll = rng.random(len(sprites))
        treatment = np.select(
            [roll < 0.06, roll < 0.09, roll < 0.21], [compose.GREY, compose.SILHOUETTE, compose.DRAWING], compose.AS_IS
        )
        scenes.treatment = np.where(np.array(one_colour) | np.array(flags), compose.AS_IS, treatment)
        for slot, fact in enumerate(facts):
            _impose(rng, scenes, slice(slot * VIEWS, (slot + 1) * VIEWS), fact, np.array(one_colour))
        return compose.compose(np.stack(sprites), np.array(one_colour), scenes, rng, knobs)

    def _textures(self, rng: np.random.Generator, knobs: Knobs) -> tuple[list[str], Tensor, npt.NDArray[np.int64]]:
        kinds = rng.permutation(len(textures.NAMES))[:TEXTURES]
        near = rng.integers(0, len(PALETTE), TEXTURES)
        far = (near + rng.integers(1, len(PALETTE), TEXTURES)) % len(PALETTE)
        texts = [
            captions.describe_texture(rng, textures.NAMES[kind], (COLOUR_NAMES[a], COLOUR_NAMES[b]))
            for kind, a, b in zip(kinds, near, far, strict=True)
        ]
        mask = textures.paint(np.repeat(kinds, VIEWS), rng, (2.0, 9.0), 45)[:, None]
        spread = rng.normal(0, 0.08, (2, TEXTURES * VIEWS, 3))
        first = (np.repeat(PALETTE[near], VIEWS, axis=0) + spread[0])[:, :, None, None]
        second = (np.repeat(PALETTE[far], VIEWS, axis=0) + spread[1])[:, :, None, None]
        canvas = torch.from_numpy(np.clip(first + mask * (second - first), 0, 1).astype(np.float32))
        images = compose.finish(canvas, rng, replace(knobs, noise=float(rng.uniform(0, 0.1))))
        return texts, images, kinds + len(self._keys)

    def _digits(self, rng: np.random.Generator, knobs: Knobs) -> tuple[list[str], Tensor, npt.NDArray[np.int64]]:
        chosen = rng.permutation(len(digits.NAMES))[:DIGITS]
        texts = [captions.describe_digit(rng, digits.NAMES[digit]) for digit in chosen]
        rows = [rng.choice(self._typefaces.rows[f"digit-{digits.NAMES[digit]}"], VIEWS) for digit in chosen]
        sprites = digits.distort(self._typefaces.pixels[np.concatenate(rows)], rng)
        scenes = compose.draw_scenes(rng, len(sprites), replace(knobs, scale=(0.7, 1.0), rotation=8, patterned=0.1))
        images = compose.compose(sprites, np.ones(len(sprites), bool), scenes, rng, replace(knobs, occluded=0.0))
        return texts, images, chosen + len(self._keys) + len(textures.NAMES)


def _impose(
    rng: np.random.Generator, scenes: Scenes, rows: slice, facts: Facts, one_colour: npt.NDArray[np.bool_]
) -> None:
    """Make the scenes in `rows` agree with the facts their caption states."""
    if facts.colour is not None:
        scenes.ground[rows] = facts.colour
        scenes.pattern[rows] = -1 if facts.pattern is None else facts.pattern
        scenes.tint[rows] = compose.draw_tints(rng, scenes.ground[rows])
    if facts.large is not None:
        scenes.scale[rows] = rng.uniform(*((0.85, 1.0) if facts.large else (0.45, 0.6)), VIEWS)
        scenes.centre[rows] *= (1 - scenes.scale[rows])[:, None]
    if facts.place is not None:
        scale = rng.uniform(0.45, 0.65, VIEWS).astype(np.float32)
        corner = np.array([facts.place % 3 - 1, facts.place // 3 - 1], np.float32)
        scenes.scale[rows] = scale
        scenes.centre[rows] = corner * ((1 - scale) * rng.uniform(0.8, 1.0, VIEWS))[:, None]
    if facts.ink is not None:
        scenes.tint[rows] = PALETTE[facts.ink]
        roll = rng.random(VIEWS)
        shape = np.where(roll < 0.4, compose.SILHOUETTE, compose.DRAWING)
        scenes.treatment[rows] = np.where(one_colour[rows], compose.AS_IS, shape)
        ground = PALETTE[scenes.ground[rows]]
        same = np.abs(ground - PALETTE[facts.ink]).sum(axis=1) < 0.6
        scenes.ground[rows] = np.where(same, 1 if PALETTE[facts.ink].mean() > 0.5 else 0, scenes.ground[rows])
