"""What is object and what is background: the result, the ways to it that need no network, and the square around it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ...engines.errors import InputError
from .pictures import Picture, resized

MATTES = ("auto", "alpha", "none")
SOLID = 128  # alpha from here on counts as the object
MIN_SIDE = 8  # pixels; below that nothing can be told of an object
MIN_SHARE = 0.001  # of a picture's pixels: less than that is dust, not an object
# A real matte leaves much of the picture's border clear; rounded corners and shadows of windows do not.
CLEAR_BORDER = 0.1
CLEAR_SHARE = 0.01
FLAT = 4  # levels between the darkest and the lightest pixel of a picture that is all one colour
RATIO = 0.85


@dataclass(frozen=True, eq=False)
class Foreground:
    """An object, cut out.

    rgba : (h, w, 4) uint8 sRGB, alpha not multiplied in; the fourth channel is the matte
    matte : (h, w) uint8, 255 where the object is
    source : where the matte came from: "alpha", "network", "file", or "none" for a picture that is taken as it is
    seconds : that it took
    """

    rgba: np.ndarray = field(repr=False)
    matte: np.ndarray = field(repr=False)
    source: str
    seconds: float


def check_matte(matte: object) -> None:
    """InputError unless `matte` is one of `MATTES`, or a picture."""
    if not isinstance(matte, Picture) and matte not in MATTES:
        raise InputError("unknown matte", received=repr(matte), expected=f"{', '.join(MATTES)}, or a picture")


def check_picture(picture: Picture) -> None:
    """InputError for a picture in which no object could be found, whatever is done."""
    if min(picture.width, picture.height) < MIN_SIDE:
        raise InputError("the picture is too small", received=f"{picture.width} by {picture.height} pixels",
                         expected=f"at least {MIN_SIDE} by {MIN_SIDE}")


def has_real_alpha(picture: Picture) -> bool:
    """Whether alpha tells an object from its background. InputError if it leaves nothing to be seen."""
    if picture.pixels.shape[2] == 3:
        return False
    solid = picture.pixels[..., 3] >= SOLID
    if solid.mean() < MIN_SHARE and (picture.pixels[..., 3] < 255).all():
        raise InputError("the picture has no foreground", received="a picture that is transparent nearly everywhere",
                         expected="an object in it")
    border = np.concatenate([solid[0], solid[-1], solid[1:-1, 0], solid[1:-1, -1]])
    return bool(1 - solid.mean() >= CLEAR_SHARE and 1 - border.mean() >= CLEAR_BORDER)


def alpha_of(picture: Picture) -> np.ndarray:
    """(h, w) uint8: the alpha that was asked for; InputError where there is none."""
    if picture.pixels.shape[2] == 3:
        raise InputError("the picture has no alpha", received="matte alpha", expected="auto, none, or the file of a matte")
    return picture.pixels[..., 3]


def matte_from(file: Picture, picture: Picture) -> np.ndarray:
    """(h, w) uint8 for `picture`: a matte's alpha if it has any, else its brightness; InputError for another shape."""
    if abs(file.width * picture.height / (file.height * picture.width) - 1) > 0.02:
        raise InputError("the matte does not fit over the picture", received=f"{file.width} by {file.height} pixels",
                         expected=f"{picture.width} by {picture.height}, or the same shape")
    pixels = file.pixels
    if pixels.shape[2] == 4 and (pixels[..., 3] < 255).any():
        matte = pixels[..., 3]
    else:
        matte = np.rint(pixels[..., :3] @ np.array([0.299, 0.587, 0.114], np.float32)).astype(np.uint8)
    return resized(matte, picture.height, picture.width)


def require_object(matte: np.ndarray, what: str) -> None:
    """InputError, which says `what` found nothing, unless `matte` (h, w) uint8 holds an object."""
    if (matte >= SOLID).mean() < MIN_SHARE:
        raise InputError("the picture has no foreground", received=what, expected="an object in front of a background",
                         remedy="give a picture with alpha, or a matte with --matte FILE")


def is_flat(pixels: np.ndarray) -> bool:
    """Whether a picture (h, w, 3) uint8 is all one colour."""
    return int(np.ptp(pixels, axis=(0, 1)).max()) < FLAT


def crop_object(foreground: Foreground, ratio: float = RATIO) -> Picture:
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
