"""From the bytes of a picture file to its pixels, by Pillow, one kind of file and one opener at a time.

No setting of Pillow's or of `warnings` is touched: both belong to the whole process. `Image.open` judges sizes by such
a setting, so the openers of the kinds are called themselves, and sizes are judged here, before anything is decoded.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...engines.errors import InputError
from . import jpeg_segments, png_chunks
from .color_profile import to_srgb
from .orientation import orientation, upright
from .picture_kinds import READS, kind_of, refused_kind

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

MAX_PIXELS = 200_000_000
# A file of a few hundred bytes can ask for gigabytes of memory: above 16 megapixels, there must be something in it.
MAX_PIXELS_A_BYTE, FREE_PIXELS = 4096, 16_000_000
ANIMATED = "the picture is an animation; its first frame is used"
# What Pillow raises for broken files is not limited to one class, and a host may turn warnings into errors.
BROKEN = (OSError, ValueError, SyntaxError, EOFError, OverflowError, LookupError, TypeError, AttributeError, struct.error, Warning)


@dataclass
class _Opened:
    """A picture file that Pillow has opened, and what was found beside its pixels. png : of a PNG, taken apart"""

    image: Image
    profile: bytes | None
    turn: int
    notices: list[str]
    png: png_chunks.Png | None = None


def decoded(data: bytes, name: str, *, profile: bool) -> tuple[np.ndarray, tuple[str, ...]]:
    """(h, w, 3 or 4) uint8 sRGB, and what should be known of how it was read.

    profile : convert the colours of an ICC profile; False takes the values as they stand
    Errors: InputError for what is no picture of a kind that is read, is broken, or unpacks to too much.
    """
    from PIL.Image import DecompressionBombError

    try:
        return _pixels(data, name, profile)
    except DecompressionBombError as error:
        raise InputError(f"the picture {name} is too large", received=str(error),
                         expected=f"at most {MAX_PIXELS // 1_000_000} megapixels") from error
    except BROKEN as error:
        raise InputError(f"{name} is no picture that can be read", received=f"{len(data)} bytes, {error}",
                         expected=f"a whole {READS} file") from error


def _pixels(data: bytes, name: str, profile: bool) -> tuple[np.ndarray, tuple[str, ...]]:
    opened = _opened(data, name)
    _check_size(*opened.image.size, len(data), name)
    image = _eight_bits(opened)
    if profile and opened.profile is not None:
        image, notice = to_srgb(image, opened.profile)
        opened.notices += [] if notice is None else [notice]
    if profile and opened.png is not None and opened.png.other_colors:
        opened.notices.append("the picture's cICP chunk names colours that are not sRGB: they are read as they are")
    image = upright(image.convert("RGBA" if image.mode.endswith("A") else "RGB"), opened.turn)
    pixels = np.asarray(image)
    return pixels, (*([ANIMATED] if _is_animated(opened) else []), *opened.notices)


def _opened(data: bytes, name: str) -> _Opened:
    """The picture, its header read and its pixels not yet decoded."""
    kind = kind_of(data)
    if kind is None:
        other = refused_kind(data)
        received = f"{len(data)} bytes, no kind of picture that is known" if data else "0 bytes"
        raise InputError(f"{name} is no picture that can be read", received=received if other is None else other.name,
                         expected=f"a whole {READS} file", remedy=None if other is None else other.remedy)
    if kind == "PNG":
        return _opened_png(png_chunks.take_apart(data))
    if kind == "JPEG":
        return _opened_jpeg(jpeg_segments.take_apart(data))
    image = _opener(kind)(io.BytesIO(data))
    info = image.info
    return _Opened(image, info.get("icc_profile"), orientation(info.get("exif"), info.get("xmp")), [])


def _opened_png(png: png_chunks.Png) -> _Opened:
    image = _opener("PNG")(io.BytesIO(png.data))
    return _Opened(image, png.profile, orientation(png.exif, png.xmp), [], png)


def _opened_jpeg(jpeg: jpeg_segments.Jpeg) -> _Opened:
    """A phone's JPEG may hold a second picture, a depth map or a larger one, behind the first: that is no animation."""
    image = _opener("JPEG")(io.BytesIO(jpeg.data))
    return _Opened(image, image.info.get("icc_profile"), orientation(jpeg.exif, jpeg.xmp), [])


def _opener(kind: str) -> type[ImageFile]:
    """The class that reads a kind of file, imported when the first one comes."""
    from PIL import BmpImagePlugin, GifImagePlugin, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

    return {"PNG": PngImagePlugin.PngImageFile, "JPEG": JpegImagePlugin.JpegImageFile, "WEBP": WebPImagePlugin.WebPImageFile,
            "BMP": BmpImagePlugin.BmpImageFile, "GIF": GifImagePlugin.GifImageFile}[kind]


def _check_size(width: int, height: int, size: int, name: str) -> None:
    """InputError for more pixels than are read, or than a file of `size` bytes can mean."""
    if width * height > MAX_PIXELS:
        raise InputError(f"the picture {name} is too large", received=f"{width} by {height} pixels",
                         expected=f"at most {MAX_PIXELS // 1_000_000} megapixels")
    if width * height > max(FREE_PIXELS, MAX_PIXELS_A_BYTE * size):
        raise InputError(f"the picture {name} is far larger than its file", received=f"{width} by {height} pixels in {size} bytes",
                         expected=f"at most {MAX_PIXELS_A_BYTE} pixels a byte")


def _is_animated(opened: _Opened) -> bool:
    """Asked last, because the answer may need a look at the second frame, which may be broken."""
    try:
        return opened.png.animated if opened.png is not None else bool(getattr(opened.image, "is_animated", False))
    except BROKEN:
        return True


def _eight_bits(opened: _Opened) -> Image:
    """L, LA, RGB, RGBA or CMYK, decoded: what is transparent by a value of its own gets alpha."""
    from PIL.Image import fromarray

    image, png = opened.image, opened.png
    image.load()
    clear = None if png is None or png.transparent is None else _clear(image, png)
    if image.mode.startswith("I"):  # grey of 16 bits, which Pillow itself would clip
        image = fromarray(np.rint(np.asarray(image) / 257).clip(0, 255).astype(np.uint8))
    elif image.mode in ("1", "P", "PA") or image.has_transparency_data and not image.mode.endswith("A"):
        image = image.convert("RGBA" if image.has_transparency_data else "L" if image.mode == "1" else "RGB")
    if clear is not None:
        image = image.copy()
        image.putalpha(fromarray(np.where(clear, 0, 255).astype(np.uint8)))
    return image


def _clear(image: Image, png: png_chunks.Png) -> np.ndarray:
    """(h, w) bool: where every sample has the transparent value, at the depth of the file."""
    values = np.array(png.transparent)
    if png.color_type == png_chunks.GREY:
        levels = np.asarray(image.convert("L") if png.depth == 1 else image)
        return levels == (values if png.depth == 16 else values * (255 // ((1 << png.depth) - 1)))
    if png.depth == 8:
        return (np.asarray(image) == values).all(axis=-1)
    # Pillow decodes the high bytes of 16 bits; read as the other byte order, the low ones.
    again = _opener("PNG")(io.BytesIO(png.data))
    again.tile = [tile._replace(args="RGB;16L") for tile in again.tile]
    return ((np.asarray(image) == values >> 8) & (np.asarray(again) == values & 255)).all(axis=-1)
