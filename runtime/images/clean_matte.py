"""What a network is sure of, made into a matte: no specks, no pinholes, no haze."""

from __future__ import annotations

import numpy as np

from .regions import regions

SURE = 0.5  # saliency from here on is object
SPECK = 0.05  # of the largest region: smaller ones are no parts of the object
PINHOLE = 0.002  # of the object: smaller holes are none
# The haze around an object, and the doubt within it, are cut off: below and above these, saliency counts as 0 and 1.
LOW, HIGH = 0.3, 0.7


def cleaned(saliency: np.ndarray) -> np.ndarray:
    """(h, w) uint8, the matte of a saliency (h, w) float32 in [0, 1]; all zero where nothing is sure."""
    kept = without_specks(saliency >= SURE)
    filled = without_pinholes(kept)
    near = _grown(filled)
    matte = np.where(near, np.clip((saliency - LOW) / (HIGH - LOW), 0, 1), 0)
    return np.rint(255 * np.where(filled & ~kept, 1, matte)).astype(np.uint8)


def without_specks(mask: np.ndarray) -> np.ndarray:
    """(h, w) bool: the regions of a mask but for those that are small next to the largest."""
    labels, sizes = regions(mask)
    return (sizes >= max(SPECK * sizes.max(), 1))[labels]


def without_pinholes(mask: np.ndarray) -> np.ndarray:
    """(h, w) bool: a mask with its smallest holes filled; larger ones, as in a chair's back, stay."""
    labels, sizes = regions(~mask)
    return mask | ((sizes < PINHOLE * mask.sum()) & (sizes > 0))[labels]


def _grown(mask: np.ndarray, by: int = 2) -> np.ndarray:
    """(h, w) bool: with every pixel at most `by` rows and columns away."""
    for axis in (0, 1):
        padded = np.pad(mask, [(by, by) if axis == i else (0, 0) for i in (0, 1)])
        length = mask.shape[axis]
        mask = np.any([np.take(padded, range(i, i + length), axis) for i in range(2 * by + 1)], axis=0)
    return mask
