"""The reconstructor: six posed views to a triplane."""

from __future__ import annotations

import numpy as np

from ..inputs import PICTURES
from ..models.reconstructor import Reconstructor
from ..spec import FP16_STORED, ComponentSpec, Input, Precision, uniform
from .parts import in_half


def reconstructor(model: Reconstructor, *, views: int = 6, precision: Precision = FP16_STORED) -> ComponentSpec:
    """`views` : how many pictures of an object, of the size that the model's configuration names."""
    size = model.config.view_size
    inputs = (Input("views", (1, views, 3, size, size), uniform(0.0, 1.0), PICTURES), Input("cameras", (1, views, 16), _cameras))
    return ComponentSpec("reconstructor", in_half(model, precision), inputs, ("planes",), precision=precision,
                         reference=model)


def _cameras(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Camera vectors (1, views, 16) float32 of cameras at distance 4 that look at the origin, FOV 30 degrees, z up."""
    azimuth, elevation = rng.uniform(0, 2 * np.pi, shape[1]), rng.uniform(-0.3, 0.6, shape[1])
    back = np.stack([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)], -1)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right, axis=-1, keepdims=True)
    pose = np.stack([right, np.cross(back, right), back, 4 * back], axis=-1).reshape(-1, 12)
    focal = 0.5 / np.tan(np.radians(15))
    lens = np.tile([focal, focal, 0.5, 0.5], (len(pose), 1))
    return np.concatenate([pose, lens], axis=-1).astype(np.float32)[None]
