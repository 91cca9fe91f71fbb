"""Pictures that a user gives: read with suspicion, then laid out as the networks of a pack take them."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...engines.errors import InputError
from ...engines.files.regular_file import read_regular
from ..pack.manifest import Resize
from .picture_decoding import MAX_PIXELS, decode_picture

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_BYTES = 4 * MAX_PIXELS  # as many as a file without any compression has

@dataclass(frozen=True)
class Picture:
    """A picture as it came; equal to another one of the same hash.

    pixels : (h, w, 3) or (h, w, 4) uint8 sRGB, row 0 at the top; the fourth channel is alpha, not multiplied in
    sha256 : hexadecimal, of the file it was read from, or of its shape and pixels
    notices : what the user should know of how it was read
    source : the file that it was read from; None for one that is no file
    """

    pixels: np.ndarray = field(repr=False, compare=False)
    sha256: str
    notices: tuple[str, ...] = field(default=(), compare=False)
    source: Path | None = field(default=None, compare=False)

    @classmethod
    def of(cls, pixels: np.ndarray) -> Picture:
        """A picture that is no file; InputError unless the array is as `pixels` says."""
        if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.ndim != 3 or not pixels.size \
                or pixels.shape[2] not in (3, 4):
            received = f"{pixels.dtype} {pixels.shape}" if isinstance(pixels, np.ndarray) else type(pixels).__name__
            raise InputError("the array is not a picture", received=received, expected="uint8 (height, width, 3 or 4)")
        return cls(pixels, hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest())

    @property
    def height(self) -> int:
        """In pixels."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """In pixels."""
        return int(self.pixels.shape[1])


def read_picture(path: str | os.PathLike[str]) -> Picture:
    """A PNG, JPEG, WebP, BMP or GIF file, turned as its EXIF entry says, alpha kept; of an animation the first picture.

    Colours of an ICC profile are converted to sRGB; a picture without one, or whose profile means sRGB, keeps its values.

    path : a regular file
    Errors: InputError for a file that cannot be read, is no such picture, has more than 200 megapixels, or is a small
        file that unpacks to a huge picture.
    """
    data = read_regular(Path(path), f"the picture {path}", InputError, max_bytes=MAX_BYTES)
    return replace(picture_of(data, f"{path}", profile=True), source=Path(path))


def picture_of(data: bytes, name: str, *, profile: bool = False) -> Picture:
    """As `read_picture`, from the bytes of a file.

    name : for messages
    profile : convert the colours of an ICC profile; False takes the values as they stand, as glTF says for its pictures
    """
    if len(data) > MAX_BYTES:
        raise InputError(f"the picture {name} is too large", received=f"more than {MAX_BYTES // 1_000_000} MB",
                         expected=f"at most {MAX_PIXELS // 1_000_000} megapixels")
    pixels, notices = decode_picture(data, name, profile=profile)
    return Picture(pixels, hashlib.sha256(data).hexdigest(), notices)


def preprocess(picture: Picture, background: float, resize: Resize) -> np.ndarray:
    """(1, 3, size, size) float32 in [0, 1]: the picture in the middle of a square of the background's grey.

    Resized before it is padded, because a square around a long, thin picture may not fit into memory.
    """
    from PIL import Image

    grey = round(255 * background)
    image = _without_alpha(picture, grey)
    scale = resize.size / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    square = Image.new("RGB", (resize.size, resize.size), (grey,) * 3)
    square.paste(image.resize((width, height), Image.Resampling[resize.resample.upper()]),
                 ((resize.size - width) // 2, (resize.size - height) // 2))
    return _planes(square)


def preprocess_control(picture: Picture, background: float, height: int, width: int) -> np.ndarray:
    """(1, 3, height, width) float32 in [-1, 1]: a picture that lies over the whole grid of views.

    Errors: InputError if its sides are not in the proportion of the grid's.
    """
    from PIL import Image

    if abs(picture.width / picture.height - width / height) > 0.01 * width / height:
        raise InputError("the control picture does not fit over the grid of views",
                         received=f"{picture.width} by {picture.height} pixels", expected=f"{width} by {height}, or the same shape")
    image = _without_alpha(picture, round(255 * background))
    return 2 * _planes(image.resize((width, height), Image.Resampling.BILINEAR)) - 1


def resized(pixels: np.ndarray, height: int, width: int, resample: str = "bicubic") -> np.ndarray:
    """(height, width) or (height, width, 3): `pixels`, uint8 or one channel of float32, resampled with antialiasing."""
    from PIL import Image

    if pixels.shape[:2] == (height, width):
        return pixels
    gap = 2.0 if pixels.dtype == np.uint8 and resample == "bicubic" else None
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling[resample.upper()], reducing_gap=gap))


def downscaled(picture: Picture, side: int) -> Picture:
    """The picture with its longer side at most `side` pixels; colours below clear alpha do not bleed into the rest."""
    from PIL import Image

    scale = side / max(picture.height, picture.width)
    if scale >= 1:
        return picture
    size = max(1, round(scale * picture.width)), max(1, round(scale * picture.height))
    # Pillow multiplies alpha in before it resizes, and out again afterwards.
    return Picture.of(np.asarray(Image.fromarray(picture.pixels).resize(size, Image.Resampling.BILINEAR, reducing_gap=1.0)))


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
