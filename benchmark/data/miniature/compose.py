"""The compositor: sprites over backgrounds, 48 x 48 RGB, all of a batch at once.

What is drawn is fixed by a `Scenes` value (one row per image), made by `draw_scenes` from a generator and `Knobs`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from promptarena.benchmark.data.miniature import textures
from promptarena.benchmark.data.miniature.options import Knobs
from promptarena.benchmark.data.miniature.textures import SIZE, Floats

COLOURS: dict[str, tuple[float, float, float]] = {
    "white": (0.97, 0.97, 0.97),
    "black": (0.07, 0.07, 0.07),
    "gray": (0.55, 0.55, 0.55),
    "red": (0.86, 0.16, 0.16),
    "orange": (0.97, 0.58, 0.13),
    "yellow": (0.98, 0.88, 0.22),
    "green": (0.22, 0.66, 0.27),
    "blue": (0.16, 0.36, 0.84),
    "purple": (0.54, 0.25, 0.72),
    "pink": (0.97, 0.62, 0.76),
    "brown": (0.50, 0.32, 0.19),
    "teal": (0.10, 0.60, 0.60),
}
COLOUR_NAMES = tuple(COLOURS)
PALETTE: Floats = np.array(list(COLOURS.values()), np.float32)
_LUMA: Floats = np.array([0.299, 0.587, 0.114], np.float32)

AS_IS, GREY, SILHOUETTE, DRAWING = range(4)
"""How a colour sprite is drawn: as it is, in grey, as a one-colour shape, or in one colour with light parts cut out."""


@dataclass
class Scenes:
    """One row per image. Centres in -1..1 of the frame, angles in degrees, `pattern` -1 for none.

    `ground` and `second` are colours of PALETTE, `tint` is an RGB colour in 0..1.
    """

    scale: Floats
    centre: Floats
    angle: Floats
    ground: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]
    pattern: npt.NDArray[np.int64]
    tint: Floats
    treatment: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.scale)


def draw_scenes(rng: np.random.Generator, count: int, knobs: Knobs) -> Scenes:
    """Scenes of `count` images: placement, background and tint; colour sprites keep their colours."""
    scale = rng.uniform(*knobs.scale, count).astype(np.float32)
    ground = np.where(rng.random(count) < 0.35, 0, rng.integers(0, len(PALETTE), count))
    return Scenes(
        scale=scale,
        centre=(rng.uniform(-1.05, 1.05, (count, 2)) * (1 - scale)[:, None]).astype(np.float32),
        angle=rng.uniform(-knobs.rotation, knobs.rotation, count).astype(np.float32),
        ground=ground,
        second=(ground + rng.integers(1, len(PALETTE), count)) % len(PALETTE),
        pattern=np.where(rng.random(count) < knobs.patterned, rng.integers(0, len(textures.NAMES), count), -1),
        tint=draw_tints(rng, ground),
        treatment=np.zeros(count, np.int64),
    )


def draw_tints(rng: np.random.Generator, ground: npt.NDArray[np.int64]) -> Floats:
    """Ink colours (n, 3): black or white against the background half of the time, else a colour of other brightness."""
    light = PALETTE @ _LUMA
    count = len(ground)
    plain = np.where(light[ground] > 0.5, COLOUR_NAMES.index("black"), COLOUR_NAMES.index("white"))
    preference = rng.random((count, len(PALETTE))) + (np.abs(light[None] - light[ground][:, None]) > 0.25)
    chosen = np.where(rng.random(count) < 0.5, plain, preference.argmax(axis=1))
    return np.asarray(np.clip(PALETTE[chosen] + rng.normal(0, 0.03, (count, 3)), 0, 1), np.float32)


def place(sprites: npt.NDArray[np.uint8], scale: Floats, centre: Floats, angle: Floats) -> Tensor:
    """Sprites, uint8 (n, c, s, s) with alpha last, in the frame: float (n, c, 48, 48), colours premultiplied by alpha.

    `scale` is the sprite's side as a fraction of the frame's, `centre` (n, 2) in -1..1, `angle` in degrees.
    """
    image = torch.from_numpy(sprites).float().div_(255)
    if image.shape[1] > 1:
        image[:, :-1] *= image[:, -1:]
    turn = np.deg2rad(angle.astype(np.float64))
    cos, sin = np.cos(turn) / scale, np.sin(turn) / scale
    matrix = np.stack([np.stack([cos, sin], 1), np.stack([-sin, cos], 1)], 1)
    offset = -np.einsum("nij,nj->ni", matrix, centre.astype(np.float64))
    theta = torch.from_numpy(np.concatenate([matrix, offset[:, :, None]], axis=2).astype(np.float32))
    grid = F.affine_grid(theta, [len(sprites), sprites.shape[1], SIZE, SIZE], align_corners=False)
    return F.grid_sample(image, grid, align_corners=False)


def backgrounds(rng: np.random.Generator, scenes: Scenes, knobs: Knobs) -> Tensor:
    """Backgrounds (n, 3, 48, 48): a named colour, slightly off, or a pattern between it and a mix with a second one."""
    count = len(scenes)
    near = np.clip(PALETTE[scenes.ground] + rng.normal(0, 0.03, (count, 3)), 0, 1).astype(np.float32)
    mix = rng.uniform(0.25, 0.7, (count, 1)).astype(np.float32)
    far = near + mix * (PALETTE[scenes.second] - near)
    out = np.broadcast_to(near[:, :, None, None], (count, 3, SIZE, SIZE)).copy()
    chosen = np.flatnonzero(scenes.pattern >= 0)
    if len(chosen):
        mask = textures.paint(scenes.pattern[chosen], rng, knobs.frequency, 30)[:, None]
        out[chosen] += mask * (far - near)[chosen][:, :, None, None]
    return torch.from_numpy(out)


def boxes(rng: np.random.Generator, count: int, side: tuple[float, float]) -> Tensor:
    """Box masks (count, 1, 48, 48): sides drawn as fractions of the frame, centres anywhere in it."""
    axis = (np.arange(SIZE, dtype=np.float32) + 0.5) / SIZE
    centre = rng.uniform(0.15, 0.85, (count, 2, 1))
    half = rng.uniform(*side, (count, 2, 1)) / 2
    inside = np.abs(axis - centre) < half
    return torch.from_numpy((inside[:, 0, :, None] & inside[:, 1, None, :]).astype(np.float32))[:, None]


def _paint_boxes(canvas: Tensor, rng: np.random.Generator, side: tuple[float, float]) -> Tensor:
    mask = boxes(rng, len(canvas), side)
    colour = torch.from_numpy(rng.random((len(canvas), 3), np.float32))[:, :, None, None]
    return canvas + mask * (colour - canvas)


def treat(layer: Tensor, scenes: Scenes, rng: np.random.Generator) -> Tensor:
    """Apply the scenes' treatment to a premultiplied layer (n, 4, 48, 48)."""
    chosen = np.flatnonzero(scenes.treatment != AS_IS)
    if not len(chosen):
        return layer
    some, kind = layer[chosen], torch.from_numpy(scenes.treatment[chosen])[:, None, None, None]
    alpha = some[:, 3:]
    light = (some[:, :3] * torch.from_numpy(_LUMA)[None, :, None, None]).sum(1, keepdim=True) / alpha.clamp(min=1e-3)
    weight = alpha.sum((2, 3), keepdim=True).clamp(min=1e-3)
    mean = (light * alpha).sum((2, 3), keepdim=True) / weight
    level = mean + torch.from_numpy(rng.uniform(-0.12, 0.12, (len(chosen), 1, 1, 1)).astype(np.float32))
    sign = torch.from_numpy(rng.choice([-1.0, 1.0, 1.0], (len(chosen), 1, 1, 1)).astype(np.float32))
    cut = torch.sigmoid(sign * 25 * (level - light)) * alpha
    smooth = F.avg_pool2d(light * alpha, 3, 1, 1) / F.avg_pool2d(alpha, 3, 1, 1).clamp(min=1e-3)
    rim = alpha - (-F.max_pool2d(-alpha, 3, 1, 1))
    edge = (rim + 10 * (smooth - light).clamp(min=0) * alpha).clamp(max=1)
    lined = torch.from_numpy(rng.random((len(chosen), 1, 1, 1)) < 0.5)
    ink = torch.where(kind == SILHOUETTE, alpha, torch.where(lined, torch.maximum(edge, cut * 0.999), cut))
    tint = torch.from_numpy(scenes.tint[chosen])[:, :, None, None]
    flat = torch.cat([tint * ink, ink], 1)
    grey = torch.cat([(light * alpha).expand(-1, 3, -1, -1), alpha], 1)
    out = layer.clone()
    out[chosen] = torch.where(kind == GREY, grey, flat)
    return out


def compose(
    sprites: npt.NDArray[np.uint8],
    one_colour: npt.NDArray[np.bool_],
    scenes: Scenes,
    rng: np.random.Generator,
    knobs: Knobs,
) -> Tensor:
    """Images (n, 3, 48, 48) in 0..1 of sprites uint8 (n, 4, 64, 64); one-colour sprites take the scene's tint."""
    layer = place(sprites, scenes.scale, scenes.centre, scenes.angle)
    tint = torch.from_numpy(np.where(one_colour[:, None], scenes.tint, 1).astype(np.float32))
    layer[:, :3] *= tint[:, :, None, None]
    layer = treat(layer, scenes, rng)
    canvas = backgrounds(rng, scenes, knobs)
    for _ in range(knobs.clutter):
        canvas = _paint_boxes(canvas, rng, (0.08, 0.25))
    canvas = layer[:, :3] + (1 - layer[:, 3:]) * canvas
    covered = np.flatnonzero(rng.random(len(scenes)) < knobs.occluded)
    if len(covered):
        canvas[covered] = _paint_boxes(canvas[covered], rng, knobs.occluder)
    return finish(canvas, rng, knobs)


def finish(canvas: Tensor, rng: np.random.Generator, knobs: Knobs) -> Tensor:
    """Camera effects on images (n, 3, 48, 48): channels mixed, tint, contrast, brightness, blur, noise; in 0..1."""
    count = len(canvas)
    if knobs.mixing > 0:
        mixer = np.eye(3) * (1 - knobs.mixing) + knobs.mixing * rng.dirichlet([0.5, 0.5, 0.5], (count, 3))
        canvas = torch.einsum("nij,njhw->nihw", torch.from_numpy(mixer.astype(np.float32)), canvas)
    gain = rng.uniform(*knobs.contrast, (count, 1)) * (1 + rng.normal(0, 1, (count, 3)) * knobs.tint_shift)
    shift = rng.normal(0, knobs.brightness, (count, 1)) + 0.5 * (1 - gain)
    canvas = canvas * torch.from_numpy(gain.astype(np.float32))[:, :, None, None]
    canvas = canvas + torch.from_numpy(shift.astype(np.float32))[:, :, None, None]
    blurred = np.flatnonzero(rng.random(count) < knobs.blur)
    if len(blurred):
        canvas[blurred] = F.avg_pool2d(canvas[blurred], 3, 1, 1, count_include_pad=False)
    if knobs.noise > 0:
        canvas = canvas + knobs.noise * torch.from_numpy(rng.standard_normal(canvas.shape, np.float32))
    return canvas.clamp(0, 1)
