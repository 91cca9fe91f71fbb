"""The square around an object that the networks of a pack look at."""

from __future__ import annotations

import numpy as np

from .foreground import SOLID, Foreground
from .pictures import Picture

RATIO = 0.85


def cropped(foreground: Foreground, ratio: float = RATIO) -> Picture:
    """A square picture with alpha: the object in its middle, its longer side `ratio` (0 to 1) of the square's.

    The object is where the matte is at least half opaque, as for the networks of the bundled pack. InstantMesh and Zero123++ take
    every alpha above zero, so that a faint haze or one stray pixel makes the object smaller; for a clean cut-out both are the same
    to a pixel. What is fainter is not lost: it stays where it lies within the square.
    A picture that is to be taken as it is (source "none") is neither cropped nor padded.
    """
    if foreground.source == "none":
        return Picture.of(foreground.rgba)
    top, bottom, left, right = bounds(foreground.matte >= SOLID)
    side = round(max(bottom - top, right - left) / ratio)
    square = np.zeros((side, side, 4), np.uint8)
    y, x = top - (side - (bottom - top)) // 2, left - (side - (right - left)) // 2
    seen = foreground.rgba[max(y, 0):y + side, max(x, 0):x + side]
    square[max(-y, 0):, max(-x, 0):][:seen.shape[0], :seen.shape[1]] = seen
    return Picture.of(square)


def bounds(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Top, bottom, left, right of what is True in (h, w), which must be something; bottom and right are exclusive."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
