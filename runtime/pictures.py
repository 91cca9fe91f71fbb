"""Pictures that a user gives: read with suspicion, then laid out as the networks of a pack take them."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..engines.errors import InputError
from .manifest import Resize

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
READS = "PNG, JPEG, WebP, BMP or GIF"
MOST_PIXELS = 200_000_000
MOST_BYTES = 4 * MOST_PIXELS  # as many as a file without any compression has
# A file of a few hundred bytes can ask for gigabytes of memory: above 16 megapixels, there must be something in it.
MOST_PIXELS_A_BYTE, FREE_PIXELS = 4096, 16_000_000
STANDARD_INPUT = "-"
# What Pillow raises for broken files is not limited to one class.
BROKEN = (OSError, ValueError, SyntaxError, EOFError, OverflowError, LookupError, TypeError, AttributeError, struct.error)
_SETTINGS = threading.Lock()


@dataclass(frozen=True)
class Picture:
    """A picture as it came; equal to another one of the same hash.

    pixels : (h, w, 3) or (h, w, 4) uint8 sRGB, row 0 at the top; the fourth channel is alpha, not multiplied in
    sha256 : hexadecimal, of the file it was read from, or of its shape and pixels
    notices : what the user should know of how it was read
    """

    pixels: np.ndarray = field(repr=False, compare=False)
    sha256: str
    notices: tuple[str, ...] = field(default=(), compare=False)

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
    """A PNG, JPEG, WebP, BMP or GIF file, turned as its EXIF entry says, alpha kept; of an animation the first picture.

    path : "-" is standard input
    Errors: InputError for a file that cannot be read, is no such picture, has more than 200 megapixels, or is a small
        file that unpacks to a huge picture.
    """
    name = "standard input" if path == STANDARD_INPUT else f"{path}"
    return picture_of(_file_bytes(path, name), name)


def picture_of(data: bytes, name: str) -> Picture:
    """As `read_picture`, from the bytes of a file; `name` is for messages."""
    try:
        pixels, notices = _decoded(data, name)
    except BROKEN as error:
        raise InputError(f"{name} is no picture that can be read", received=_look(data, error), expected=f"a whole {READS} file",
                         remedy="save the drawing as a PNG" if _is_svg(data) else None) from error
    return Picture(pixels, hashlib.sha256(data).hexdigest(), notices)


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


def resized(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """(height, width) or (height, width, 3): `pixels`, uint8, made larger or smaller, antialiased."""
    from PIL import Image

    if pixels.shape[:2] == (height, width):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2.0))


def shrunk(picture: Picture, side: int) -> Picture:
    """The picture with its longer side at most `side` pixels; colours below clear alpha do not bleed into the rest."""
    from PIL import Image

    scale = side / max(picture.height, picture.width)
    if scale >= 1:
        return picture
    size = tuple(max(1, round(scale * axis)) for axis in (picture.width, picture.height))
    # Pillow multiplies alpha in before it resizes, and out again afterwards.
    return Picture.of(np.asarray(Image.fromarray(picture.pixels).resize(size, Image.Resampling.BILINEAR, reducing_gap=1.0)))


def _file_bytes(path: str | os.PathLike[str], name: str) -> bytes:
    """All of a file; InputError if it cannot be read or has no end."""
    try:
        if path == STANDARD_INPUT and sys.stdin is None:
            raise ValueError("it is closed")
        with nullcontext(sys.stdin.buffer) if path == STANDARD_INPUT else open(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # a name with a zero byte is a ValueError
        raise InputError(f"the picture {name} cannot be read", received=getattr(error, "strerror", None) or str(error),
                         expected="a file") from error
    if len(data) > MOST_BYTES:
        raise InputError(f"the picture {name} is too large", received=f"more than {MOST_BYTES // 1_000_000} MB",
                         expected=f"at most {MOST_PIXELS // 1_000_000} megapixels")
    return data


def _look(data: bytes, error: Exception) -> str:
    """What the bytes of a file that is no picture look like. Pillow's words for an unknown kind name an object of ours."""
    from PIL import UnidentifiedImageError

    if _is_svg(data):
        return "an SVG drawing"
    why = "no kind of picture that is known" if isinstance(error, UnidentifiedImageError) else str(error)
    return f"{len(data)} bytes, {why}" if data else "0 bytes"


def _is_svg(data: bytes) -> bool:
    return b"<svg" in data[:4096].lower()


def _decoded(data: bytes, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Pixels as a `Picture` has them, and its notices. The size is known, and judged, before anything is decoded."""
    from PIL import Image

    with _quiet_pillow(), Image.open(io.BytesIO(data), formats=FORMATS) as image:
        _check_size(image.width, image.height, len(data), name)
        image.load()
        upright = _eight_bits(_upright(image))
        pixels = np.asarray(upright.convert("RGBA" if upright.has_transparency_data else "RGB"))
        return pixels, ("the picture is an animation; its first frame is used",) if _is_animated(image) else ()


def _check_size(width: int, height: int, size: int, name: str) -> None:
    """InputError for more pixels than are read, or than a file of `size` bytes can mean."""
    if width * height > MOST_PIXELS:
        raise InputError(f"the picture {name} is too large", received=f"{width} by {height} pixels",
                         expected=f"at most {MOST_PIXELS // 1_000_000} megapixels")
    if width * height > max(FREE_PIXELS, MOST_PIXELS_A_BYTE * size):
        raise InputError(f"the picture {name} is far larger than its file", received=f"{width} by {height} pixels in {size} bytes",
                         expected=f"at most {MOST_PIXELS_A_BYTE} pixels a byte")


def _upright(image: Image) -> Image:
    """Turned as its EXIF entry says; an entry that cannot be read says nothing."""
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(image)
    except BROKEN:
        return image


def _is_animated(image: Image) -> bool:
    """Asked last, because the answer may need a look at the second frame, which may be broken."""
    try:
        return bool(getattr(image, "is_animated", False))
    except BROKEN:
        return True


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
