"""Masks of pictures and textures."""

from __future__ import annotations

import numpy as np


def grown(mask: np.ndarray, *, corners: bool = False) -> np.ndarray:
    """(..., h, w) bool: a mask with the pixels above, below, left and right of it. corners : also with those that touch it at a corner"""
    near = mask.copy()
    near[..., 1:, :] |= mask[..., :-1, :]
    near[..., :-1, :] |= mask[..., 1:, :]
    beside = near.copy() if corners else mask
    near[..., 1:] |= beside[..., :-1]
    near[..., :-1] |= beside[..., 1:]
    return near
