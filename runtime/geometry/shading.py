"""Light on the coarse views, where a pack names one of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Shading:
    """Light on the coarse views: ambient + diffuse * (n . l), l being `direction`, towards the light or away from it.

    two_sided : the absolute value of n . l counts, else what is above zero
    linear : the light is multiplied with linear colours, else with sRGB ones
    direction : world axes, unit length
    """

    ambient: float
    diffuse: float
    direction: tuple[float, ...]
    two_sided: bool
    linear: bool


def shaded(colors: np.ndarray, normals: np.ndarray, shading: Shading) -> np.ndarray:
    """(n, 3) float32 sRGB in [0, 1]: surfaces of sRGB colours (n, 3) and unit normals (n, 3) in that light."""
    light = light_intensity(normals, shading)[:, None]
    if shading.linear:
        return to_srgb(np.minimum(to_linear(colors) * light, 1))
    return np.minimum(colors * light, 1)


def light_intensity(normals: np.ndarray, shading: Shading) -> np.ndarray:
    """(...,) float32, for unit normals (..., 3): how bright a white surface is, ambient + diffuse * (n . l)."""
    cosine = normals @ np.asarray(shading.direction, np.float32)
    facing = np.abs(cosine) if shading.two_sided else np.maximum(cosine, 0)
    return np.float32(shading.ambient) + np.float32(shading.diffuse) * facing


def to_linear(srgb: np.ndarray) -> np.ndarray:
    """Linear light of sRGB values in [0, 1] (IEC 61966-2-1)."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4).astype(np.float32)


def to_srgb(linear: np.ndarray) -> np.ndarray:
    """sRGB values of linear light in [0, 1]: the inverse of `to_linear`."""
    bright = 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, linear * 12.92, bright).astype(np.float32)


def to_uint8(colors: np.ndarray) -> np.ndarray:
    """uint8 of colours in [0, 1]; what is outside is clipped."""
    levels: np.ndarray = np.rint(np.clip(colors, 0, 1) * 255)
    return levels.astype(np.uint8)


def product(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """sRGB values in [0, 1] of the product of two colours' linear light, both sRGB values in [0, 1]."""
    return to_srgb(to_linear(first) * to_linear(second))
