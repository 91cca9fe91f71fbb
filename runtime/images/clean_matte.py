"""From a network's saliency to a matte: no specks, no pinholes, no haze."""

from __future__ import annotations

import numpy as np

from ..geometry.masks import grown
from ..geometry.shading import to_uint8
from ..geometry.topology import connected

SURE = 0.5  # saliency from here on is object
SPECK = 0.05  # of the largest region: smaller ones are no parts of the object
PINHOLE = 0.002  # of the object: smaller holes are none
# The haze around an object, and the doubt within it, are cut off: below and above these, saliency counts as 0 and 1.
LOW, HIGH = 0.3, 0.7


def clean_matte(saliency: np.ndarray) -> np.ndarray:
    """(h, w) uint8, the matte of a saliency (h, w) float32 in [0, 1]; all zero where nothing is sure."""
    kept = remove_specks(saliency >= SURE)
    filled = fill_pinholes(kept)
    near = grown(grown(filled, corners=True), corners=True)
    matte = np.where(near, np.clip((saliency - LOW) / (HIGH - LOW), 0, 1), 0)
    return to_uint8(np.where(filled & ~kept, 1, matte))


def remove_specks(mask: np.ndarray) -> np.ndarray:
    """(h, w) bool: the regions of a mask but for those that are small next to the largest."""
    labels, sizes = regions(mask)
    return (sizes >= max(SPECK * sizes.max(), 1))[labels]


def fill_pinholes(mask: np.ndarray) -> np.ndarray:
    """(h, w) bool: a mask with its smallest holes filled; larger ones, as in a chair's back, stay."""
    labels, sizes = regions(~mask)
    return mask | ((sizes < PINHOLE * mask.sum()) & (sizes > 0))[labels]


def regions(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number the connected regions of a mask (h, w) bool; pixels that touch at a corner are connected.

    labels : (h, w) int64, 0 where the mask is false, else 1 to n
    sizes : (n + 1,) int64, pixels of each; sizes[0] is 0

    Works on runs, the stretches of a row: few, so that no loop over pixels is needed.
    """
    rows, starts, ends = _runs(mask)
    above, below = _touching(rows, starts, ends, mask.shape[1] + 2)
    roots = connected(len(rows), above, below)
    numbers = np.unique(roots, return_inverse=True)[1] + 1
    labels = np.zeros(mask.shape, np.int64)
    labels[mask] = np.repeat(numbers, ends - starts)
    return labels, np.bincount(labels[mask], minlength=1)


def _runs(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n,) each, in reading order: the row, the first column, and the column behind the last."""
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    return rows, starts, np.nonzero(edges == -1)[1]


def _touching(rows: np.ndarray, starts: np.ndarray, ends: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """(m,) each: pairs of runs that touch, one in the row above the other's."""
    before = (rows - 1) * width
    first = np.searchsorted(rows * width + ends, before + starts)
    last = np.searchsorted(rows * width + starts, before + ends, side="right")
    counts = np.maximum(last - first, 0)
    below = np.repeat(np.arange(len(rows)), counts)
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(first, counts), below
