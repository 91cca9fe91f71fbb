"""Pictures that a user gives: read with suspicion, then laid out as the networks of a pack take them."""

from __future__ import annotations

import hashlib
import io
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..engines.errors import InputError
from .manifest import Resize

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP")
MOST_PIXELS = 200_000_000
_SETTINGS = threading.Lock()


@dataclass(frozen=True)
class Picture:
    """A picture as it came; equal to another one of the same hash.

    pixels : (h, w, 3) or (h, w, 4) uint8 sRGB, row 0 at the top; the fourth channel is alpha, not multiplied in
    sha256 : hexadecimal, of the file it was read from, or of its shape and pixels
    """

    pixels: np.ndarray = field(repr=False, compare=False)
    sha256: str

    @classmethod
    def of(cls, pixels: np.ndarray) -> Picture:
        """A picture that is no file; InputError unless the array is as `pixels` says."""
        if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.ndim != 3 or not pixels.size \
                or pixels.shape[2] not in (3, 4):
            received = f"{pixels.dtype} {pixels.shape}" if isinstance(pixels, np.ndarray) else type(pixels).__name__
            raise InputError("the array is no picture", received=received, expected="uint8 (height, width, 3 or 4)")
        return cls(pixels, hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest())

    @property
    def height(self) -> int:
        """In pixels."""
        return self.pixels.shape[0]

    @property
    def width(self) -> int:
        """In pixels."""
        return self.pixels.shape[1]


def read_picture(path: str | os.PathLike[str]) -> Picture:
    """A PNG, JPEG or WebP file, turned as its EXIF entry says, alpha kept; of an animation the first picture.

    Errors: InputError for a file that cannot be read, is no such picture, or has more than 200 megapixels.
    """
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:  # a name with a zero byte is a ValueError
        raise InputError(f"the picture {path} cannot be read", received=getattr(error, "strerror", None) or str(error),
                         expected="a file") from error
    try:
        return Picture(_decoded(data, path), hashlib.sha256(data).hexdigest())
    # What Pillow raises for broken files is not limited to one class.
    except (OSError, ValueError, SyntaxError, EOFError, OverflowError, IndexError, KeyError, TypeError) as error:
        raise InputError(f"{path} is no picture that can be read", received=f"{len(data)} bytes, {error}",
                         expected="a whole PNG, JPEG or WebP file") from error


def prepared(picture: Picture, background: float, resize: Resize) -> np.ndarray:
    """(1, 3, size, size) float32 in [0, 1]: the picture in the middle of a square of the background's grey.

    Resized before it is padded, because a square around a long, thin picture may not fit into memory.
    """
    from PIL import Image

    grey = round(255 * background)
    image = _without_alpha(picture, grey)
    scale = resize.size / max(image.size)
    size = tuple(max(1, round(side * scale)) for side in image.size)
    square = Image.new("RGB", (resize.size, resize.size), (grey,) * 3)
    square.paste(image.resize(size, Image.Resampling[resize.resample.upper()]),
                 tuple((resize.size - side) // 2 for side in size))
    return _planes(square)


def control_planes(picture: Picture, background: float, height: int, width: int) -> np.ndarray:
    """(1, 3, height, width) float32 in [-1, 1]: a picture that lies over the whole grid of views.

    Errors: InputError if its sides are not in the proportion of the grid's.
    """
    from PIL import Image

    if abs(picture.width / picture.height - width / height) > 0.01 * width / height:
        raise InputError("the control picture does not fit over the grid of views",
                         received=f"{picture.width} by {picture.height} pixels", expected=f"{width} by {height}, or the same shape")
    image = _without_alpha(picture, round(255 * background))
    return 2 * _planes(image.resize((width, height), Image.Resampling.BILINEAR)) - 1


def _decoded(data: bytes, path: str | os.PathLike[str]) -> np.ndarray:
    from PIL import Image, ImageOps

    with _quiet_pillow(), Image.open(io.BytesIO(data), formats=FORMATS) as image:
        if image.width * image.height > MOST_PIXELS:
            raise InputError(f"the picture {path} is too large", received=f"{image.width} by {image.height} pixels",
                             expected=f"at most {MOST_PIXELS // 1_000_000} megapixels")
        image.load()
        upright = _eight_bits(ImageOps.exif_transpose(image))
        return np.asarray(upright.convert("RGBA" if upright.has_transparency_data else "RGB"))


def _eight_bits(image: Image) -> Image:
    """Grey of 16 bits scaled to 8, which Pillow itself would clip."""
    if not image.mode.startswith("I"):
        return image
    from PIL import Image

    return Image.fromarray(np.rint(np.asarray(image) / 257).clip(0, 255).astype(np.uint8))


@contextmanager
def _quiet_pillow() -> Iterator[None]:
    """Without Pillow's own limit, which warns, and then refuses, below ours, and without its other warnings.

    Both are settings of the whole process, hence the lock.
    """
    from PIL import Image

    with _SETTINGS, warnings.catch_warnings(action="ignore"):
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _without_alpha(picture: Picture, grey: int) -> Image:
    """RGB, laid on grey (0 to 255) where the picture is transparent."""
    from PIL import Image

    image = Image.fromarray(picture.pixels)
    if image.mode == "RGB":
        return image
    opaque = Image.new("RGB", image.size, (grey,) * 3)
    opaque.paste(image, mask=image.getchannel("A"))
    return opaque


def _planes(image: Image) -> np.ndarray:
    """(1, 3, h, w) float32 in [0, 1]."""
    return np.ascontiguousarray(np.asarray(image, np.float32).transpose(2, 0, 1)[None] / np.float32(255))
