"""The square around an object that the networks of a pack look at."""

from __future__ import annotations

import numpy as np

from ..pictures import Picture
from .foreground import SOLID, Foreground

RATIO = 0.85


def cropped(foreground: Foreground, ratio: float = RATIO) -> Picture:
    """A square picture with alpha: the object in its middle, its longer side `ratio` (0 to 1) of the square's.

    A picture that is to be taken as it is (source "none") is neither cropped nor padded.
    """
    if foreground.source == "none":
        return Picture.of(foreground.rgba)
    top, bottom, left, right = bounds(foreground.matte >= SOLID)
    side = round(max(bottom - top, right - left) / ratio)
    square = np.zeros((side, side, 4), np.uint8)
    y, x = (side - (bottom - top)) // 2, (side - (right - left)) // 2
    square[y:y + bottom - top, x:x + right - left] = foreground.rgba[top:bottom, left:right]
    return Picture.of(square)


def bounds(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Top, bottom, left, right of what is True in (h, w), which must be something; bottom and right are exclusive."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
