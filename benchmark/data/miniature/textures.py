"""Sixteen procedural patterns: the classes of the textures dataset, and the backgrounds of everything else."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

SIZE = 48
"""Side of an image in pixels."""

Floats: TypeAlias = npt.NDArray[np.float32]
_Painter: TypeAlias = Callable[[Floats, Floats, Floats, np.random.Generator], Floats]


def _column(values: npt.NDArray[np.float64]) -> Floats:
    return values.astype(np.float32)[:, None, None]


def _wave(cycles: Floats, sharp: Floats) -> Floats:
    return np.asarray(0.5 + 0.5 * np.tanh(sharp * np.sin(2 * np.pi * cycles)) / np.tanh(sharp), np.float32)


def _step(value: Floats, sharp: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(np.clip(-8 * sharp * value, -60, 60))), np.float32)


def _cell(value: Floats) -> Floats:
    return np.asarray(value - np.floor(value) - 0.5, np.float32)


def _polar(u: Floats, v: Floats, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Radius in cycles, angle in turns and the cycles per frame, around a random centre."""
    span = np.abs(u - u.mean(axis=(1, 2), keepdims=True)).max(axis=(1, 2), keepdims=True)
    shift = _column(rng.uniform(-0.5, 0.5, len(u))), _column(rng.uniform(-0.5, 0.5, len(u)))
    x = u - u.mean(axis=(1, 2), keepdims=True) + shift[0] * span
    y = v - v.mean(axis=(1, 2), keepdims=True) + shift[1] * span
    return np.hypot(x, y), np.asarray(np.arctan2(y, x) / (2 * np.pi), np.float32), span


def _cloud(u: Floats, v: Floats, rng: np.random.Generator, terms: int, pace: float) -> Floats:
    """Smooth noise of about unit size: a sum of waves in random directions, `pace` times the pattern's frequency."""
    total = np.zeros_like(u)
    for _ in range(terms):
        turn, phase = _column(rng.uniform(0, 2 * np.pi, len(u))), _column(rng.uniform(0, 2 * np.pi, len(u)))
        rate = _column(rng.uniform(0.5, 1.5, len(u)) * pace * 2 * np.pi)
        total += np.sin(rate * (u * np.cos(turn) + v * np.sin(turn)) + phase)
    return np.asarray(total * np.float32(np.sqrt(2 / terms)), np.float32)


def _striped(u: Floats, v: Floats, sharp: Floats, rng: np.random.Generator) -> Floats:
    return _wave(u, sharp)


def _dotted(u: Floats, v: Floats, sharp: Floats, rng: np.random.Generator) -> Floats:
    radius = _column(rng.uniform(0.22, 0.38, len(u)))
    return _step(radius - np.hypot(_cell(u), _cell(v)), sharp * 2)


def _chequered(u: Floats, v: Floats, sharp: Floats, rng: np.random.Generator) -> Floats:
    return _step(np.asarray(np.sin(np.pi * u) * np.sin(np.pi * v), np.float32), sharp)


def _zigzagged(u: Floats, v: Floats, sharp: Floats, rng: np.random.Generator) -> Floats:
    height = _column(rng.uniform(1.0, 1.8, len(u)))
    return _wave(u + height * np.abs(_cell(v * 0.6)), sharp)


def _gridded(u: Floats, v: Floats, sharp: Floats, rng: np.random.Generator) -> Floats:
    width = _column(rng.uniform(0.08, 0.16, len(u)))
    return _step(width - np.minimum(np.abs(_cell(u)), np.abs(_cell(v))), sharp * 3)


def _wavy(u: Floats, v: Floats, sharp: Floats, rng: np.random.Generator) -> Floats:
    height = _column(rng.uniform(0.35, 0.7, len(u)))
    return _wave(np.asarray(u + height * np.sin(2 * np.pi * v * 0.45), np.float32), sharp)


def _ringed(u: Floats, v: Floats, sharp: Floats, rng: np.random.Generator) -> Floats:
    radius, _, _ = _polar(u, v, rng)
    return _wave(radius, sharp)


def _spiralled(u: Floats, v: Floats, sharp: Floats, rng: np.random.Generator) -> Floats:
    radius, turn, _ = _polar(u, v, rng)
    arms = _column(rng.integers(1, 4, len(u)) * rng.choice([-1.0, 1.0], len(u)))
    return _wave(radius * 0.8 + arms * turn, sharp)


def _marbled(u: Floats, v: Floats, sharp: Floats, rng: np.random.Generator) -> Floats:
    return _wave(u * 0.45 + 0.45 * _cloud(u, v, rng, 5, 0.3), sharp)


def _speckled(u: Floats, v: Floats, sharp: Floats, rng: np.random.Generator) -> Floats:
    share = _column(rng.uniform(0.05, 0.16, len(u)))
    points = (rng.random(u.shape, np.float32) < share).astype(np.float32)
    spread = points + 0.4 * (np.roll(points, 1, axis=1) + np.roll(points, 1, axis=2))
    return np.asarray(np.minimum(spread, 1), np.float32)


def _woven(u: Floats, v: Floats, sharp: Floats, rng: np.random.Generator) -> Floats:
    over = (np.floor(u * 0.7) + np.floor(v * 0.7)) % 2
    strands = np.where(over > 0, _wave(u * 2.1, sharp), _wave(v * 2.1, sharp))
    return np.asarray(strands, np.float32)


def _graded(u: Floats, v: Floats, sharp: Floats, rng: np.random.Generator) -> Floats:
    low, high = u.min(axis=(1, 2), keepdims=True), u.max(axis=(1, 2), keepdims=True)
    return np.asarray(((u - low) / (high - low)) ** _column(rng.uniform(0.7, 1.4, len(u))), np.float32)


def _rayed(u: Floats, v: Floats, sharp: Floats, rng: np.random.Generator) -> Floats:
    _, turn, _ = _polar(u, v, rng)
    return _wave(turn * _column(rng.integers(6, 15, len(u)).astype(np.float64)), sharp)


def _bricked(u: Floats, v: Floats, sharp: Floats, rng: np.random.Generator) -> Floats:
    width = _column(rng.uniform(0.07, 0.13, len(u)))
    along = np.asarray(u * 0.6 + 0.5 * (np.floor(v) % 2), np.float32)
    return _step(np.minimum(0.5 - np.abs(_cell(along)), 0.5 - np.abs(_cell(v))) - width, sharp * 3)


def _honeycombed(u: Floats, v: Floats, sharp: Floats, rng: np.random.Generator) -> Floats:
    tall = np.float32(np.sqrt(3))
    first = _hexagon(_cell(u), _cell(v / tall) * tall)
    second = _hexagon(_cell(u + 0.5), _cell(v / tall + np.float32(0.5)) * tall)
    width = _column(rng.uniform(0.05, 0.1, len(u)))
    return _step(np.asarray(0.5 - np.minimum(first, second) - width, np.float32), sharp * 3)


def _hexagon(x: Floats, y: Floats) -> Floats:
    return np.maximum(np.abs(x), np.abs(x) * 0.5 + np.abs(y) * np.float32(np.sqrt(3) / 2))


def _blotchy(u: Floats, v: Floats, sharp: Floats, rng: np.random.Generator) -> Floats:
    return _step(_cloud(u, v, rng, 7, 0.4) * 0.5, sharp)


PATTERNS: dict[str, _Painter] = {
    "striped": _striped,
    "dotted": _dotted,
    "chequered": _chequered,
    "zigzagged": _zigzagged,
    "gridded": _gridded,
    "wavy": _wavy,
    "ringed": _ringed,
    "spiralled": _spiralled,
    "marbled": _marbled,
    "speckled": _speckled,
    "woven": _woven,
    "graded": _graded,
    "rayed": _rayed,
    "bricked": _bricked,
    "honeycombed": _honeycombed,
    "blotchy": _blotchy,
}
"""The painters by name: two coordinates in cycles, edge sharpness and a generator in; a mask in 0..1 out."""

NAMES = tuple(PATTERNS)


def paint(
    kinds: npt.NDArray[np.int64], rng: np.random.Generator, frequency: tuple[float, float], turn: float
) -> Floats:
    """Masks in 0..1, float32 (n, 48, 48), one per entry of `kinds` (indices into NAMES).

    `frequency` is the range of cycles per frame, `turn` the largest rotation in degrees either way.
    """
    out = np.zeros((len(kinds), SIZE, SIZE), np.float32)
    axis = ((np.arange(SIZE) + 0.5) / SIZE - 0.5).astype(np.float32)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    for kind in np.unique(kinds):
        chosen = np.flatnonzero(kinds == kind)
        count = len(chosen)
        angle = _column(np.deg2rad(rng.uniform(-turn, turn, count) + 90 * rng.integers(0, 2, count)))
        rate = _column(np.exp(rng.uniform(np.log(frequency[0]), np.log(frequency[1]), count)))
        shift = _column(rng.uniform(0, 1, count)), _column(rng.uniform(0, 1, count))
        u = np.asarray(rate * (x * np.cos(angle) + y * np.sin(angle)) + shift[0], np.float32)
        v = np.asarray(rate * (y * np.cos(angle) - x * np.sin(angle)) + shift[1], np.float32)
        sharp = _column(rng.uniform(1.0, 4.0, count))
        out[chosen] = PATTERNS[NAMES[int(kind)]](u, v, sharp, rng)
    return out
