"""What users give, as the networks see it: pictures that are one colour nearly everywhere, and latents of such pictures.

Noise alone would hide what goes wrong where values are equal. Every draw makes the same of the same generator, and what it makes
compresses well, because it also becomes golden inputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]

WHITE, GREY = 1.0, 127 / 255
# Radius of the object, as a share of the tile's side; it leaves 36 % of the tile or more bare.
RADIUS = 0.45
BANDS = 8


def cut_out(background: float) -> Draw:
    """Pictures (..., 3, h, w) in [0, 1]: in each square tile a disc with a hard edge and bands of colours of 8 bits."""
    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        tile = math.gcd(*shape[-2:])
        bands = _tiled(rng.integers(256, size=(*_tiles(shape, tile), BANDS)) / 255, tile)
        return np.where(_disc(shape, tile), bands, background).astype(np.float32)

    return draw


def flat(value: float) -> Draw:
    """Float32 of one value."""
    return lambda rng, shape: np.full(shape, value, np.float32)


def flat_channels(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """(..., c, h, w) float32: each channel one normal value, as an encoder makes of a plain picture."""
    return np.broadcast_to(rng.standard_normal((*shape[:-2], 1, 1), np.float32), shape).copy()


def cut_out_channels(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """(..., c, h, w) float32: as `flat_channels`, with normal values in the discs of `cut_out`."""
    tile, around = math.gcd(*shape[-2:]), flat_channels(rng, shape)
    bands = _tiled(np.rint(16 * rng.standard_normal((*_tiles(shape, tile), BANDS))) / 16, tile)
    return np.where(_disc(shape, tile), bands, around).astype(np.float32)


# By the name that a component's measured error has in pack.json.
PICTURES: Mapping[str, Draw] = {"cut-out on white": cut_out(WHITE), "cut-out on grey": cut_out(GREY), "white": flat(WHITE)}
LATENTS: Mapping[str, Draw] = {"cut-out on white": cut_out_channels, "white": flat_channels}
# A loop's step takes long, and latents of plain white are nothing that it meets.
STEP_LATENTS: Mapping[str, Draw] = {"cut-out on white": cut_out_channels}


def _tiles(shape: tuple[int, ...], tile: int) -> tuple[int, ...]:
    """The leading axes, then rows and columns of tiles."""
    return (*shape[:-2], shape[-2] // tile, shape[-1] // tile)


def _tiled(bands: np.ndarray, tile: int) -> np.ndarray:
    """(..., rows, columns, BANDS) -> (..., rows * tile, columns * tile): a row of vertical bands across each tile."""
    across = bands[..., np.arange(tile) * BANDS // tile]
    wide = across.reshape(*across.shape[:-2], -1)
    return np.repeat(wide, tile, axis=-2)


def _disc(shape: tuple[int, ...], tile: int) -> np.ndarray:
    """(h, w) bool"""
    y, x = ((np.arange(length) % tile + 0.5) / tile - 0.5 for length in shape[-2:])
    return y[:, None] ** 2 + x**2 < RADIUS**2
