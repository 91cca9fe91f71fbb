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
from .color_profile import to_srgb
from .picture_metadata import GREY, Jpeg, Png, orientation, parse_jpeg, parse_png, upright

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

MAX_PIXELS = 200_000_000
# A file of a few hundred bytes can ask for gigabytes of memory: above 16 megapixels, there must be something in it.
MAX_PIXELS_A_BYTE, FREE_PIXELS = 4096, 16_000_000
ANIMATED = "the picture is an animation; its first frame is used"
# What Pillow raises for broken files is not limited to one class, and a host may turn warnings into errors.
BROKEN = (OSError, ValueError, SyntaxError, EOFError, OverflowError, LookupError, TypeError, AttributeError, struct.error, Warning)
READS = "PNG, JPEG, WebP, BMP or GIF"
AS_PNG = "save it as a PNG or JPEG"
BRANDS_AT = 4  # of an ISO base media file: four bytes of length, "ftyp", the major brand
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
AVIF_BRANDS = (b"avif", b"avis")


@dataclass
class _Opened:
    """A picture file that Pillow has opened, and what was found beside its pixels. png : of a PNG, taken apart"""

    image: Image
    profile: bytes | None
    turn: int
    notices: list[str]
    png: Png | None = None


def decode_picture(data: bytes, name: str, *, profile: bool) -> tuple[np.ndarray, tuple[str, ...]]:
    """(h, w, 3 or 4) uint8 sRGB, and what should be known of how it was read.

    profile : convert the colours of an ICC profile; False takes the values as they stand
    Errors: InputError for what is no picture of a kind that is read, is broken, or is too large when unpacked.
    """
    from PIL.Image import DecompressionBombError

    try:
        return _pixels(data, name, profile)
    except DecompressionBombError as error:
        raise InputError(f"the picture {name} is too large", received=str(error),
                         expected=f"at most {MAX_PIXELS // 1_000_000} megapixels") from error
    except BROKEN as error:
        raise InputError(f"{name} is not a readable picture", received=f"{len(data)} bytes, {error}",
                         expected=f"a whole {READS} file") from error


def _pixels(data: bytes, name: str, profile: bool) -> tuple[np.ndarray, tuple[str, ...]]:
    opened = _opened(data, name)
    _check_size(*opened.image.size, len(data), name)
    image = _eight_bits(opened)
    if profile and opened.profile is not None:
        image, notice = to_srgb(image, opened.profile)
        opened.notices += [] if notice is None else [notice]
    if profile and opened.png is not None and opened.png.other_colors:
        opened.notices.append("the picture's cICP chunk names colours other than sRGB: they are not converted")
    image = upright(image.convert("RGBA" if image.mode.endswith("A") else "RGB"), opened.turn)
    pixels = np.asarray(image)
    return pixels, (*([ANIMATED] if _is_animated(opened) else []), *opened.notices)


def _opened(data: bytes, name: str) -> _Opened:
    """The picture, its header read and its pixels not yet decoded."""
    kind = kind_of(data)
    if kind is None:
        other = refused_kind(data)
        received = f"{len(data)} bytes, not a known picture format" if data else "0 bytes"
        raise InputError(f"{name} is not a readable picture", received=received if other is None else other.name,
                         expected=f"a whole {READS} file", remedy=None if other is None else other.remedy)
    if kind == "PNG":
        return _opened_png(parse_png(data))
    if kind == "JPEG":
        return _opened_jpeg(parse_jpeg(data))
    image = _opener(kind)(io.BytesIO(data))
    info = image.info
    return _Opened(image, info.get("icc_profile"), orientation(info.get("exif"), info.get("xmp")), [])


def _opened_png(png: Png) -> _Opened:
    image = _opener("PNG")(io.BytesIO(png.data))
    return _Opened(image, png.profile, orientation(png.exif, png.xmp), [], png)


def _opened_jpeg(jpeg: Jpeg) -> _Opened:
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
        image = grey_of_16_bits(image)
    elif image.mode in ("1", "P", "PA") or image.has_transparency_data and not image.mode.endswith("A"):
        image = image.convert("RGBA" if image.has_transparency_data else "L" if image.mode == "1" else "RGB")
    if clear is not None:
        image = image.copy()
        image.putalpha(fromarray(np.where(clear, 0, 255).astype(np.uint8)))
    return image


def grey_of_16_bits(image: Image) -> Image:
    """L, of a grey picture of 16 bits."""
    from PIL.Image import fromarray

    return fromarray(np.rint(np.asarray(image) / 257).clip(0, 255).astype(np.uint8))


def _clear(image: Image, png: Png) -> np.ndarray:
    """(h, w) bool: where every sample has the transparent value, at the depth of the file."""
    values = np.array(png.transparent)
    if png.color_type == GREY:
        levels = np.asarray(image.convert("L") if png.depth == 1 else image)
        return levels == (values if png.depth == 16 else values * (255 // ((1 << png.depth) - 1)))
    if png.depth == 8:
        return (np.asarray(image) == values).all(axis=-1)
    # Pillow decodes the high bytes of 16 bits; read as the other byte order, the low ones.
    again = _opener("PNG")(io.BytesIO(png.data))
    again.tile = [tile._replace(args="RGB;16L") for tile in again.tile]
    return ((np.asarray(image) == values >> 8) & (np.asarray(again) == values & 255)).all(axis=-1)


@dataclass(frozen=True)
class Refused:
    """A known kind of file that is not read. name : with its article; remedy : what its owner can do"""

    name: str
    remedy: str


HEIC = Refused("a HEIC picture", "export it as a JPEG: share it from the phone as \"most compatible\", or convert it with heif-convert")
AVIF = Refused("an AVIF picture", "save it as a PNG or JPEG, such as with avifdec")
SVG = Refused("an SVG drawing", "save the drawing as a PNG")
# First bytes -> kind. Longer ones come first where one is the start of another.
REFUSED = {
    b"II*\0": Refused("a TIFF picture", AS_PNG), b"MM\0*": Refused("a TIFF picture", AS_PNG),
    b"II+\0": Refused("a TIFF picture", AS_PNG), b"MM\0+": Refused("a TIFF picture", AS_PNG),
    b"\0\0\1\0": Refused("an ICO icon", "save its largest picture as a PNG"),
    b"8BPS": Refused("a Photoshop document", "export it as a PNG"),
    b"\xff\x0a": Refused("a JPEG XL picture", "save it as a PNG or JPEG, such as with djxl"),
    b"\0\0\0\x0cJXL ": Refused("a JPEG XL picture", "save it as a PNG or JPEG, such as with djxl"),
    b"\0\0\0\x0cjP  ": Refused("a JPEG 2000 picture", AS_PNG), b"\xff\x4f\xff\x51": Refused("a JPEG 2000 picture", AS_PNG),
    b"%PDF": Refused("a PDF document", "save the page as a PNG"), b"%!PS": Refused("a PostScript document", "save the page as a PNG"),
    b"\x76\x2f\x31\x01": Refused("an OpenEXR picture", AS_PNG), b"#?RADIANCE": Refused("a Radiance HDR picture", AS_PNG),
    b"DDS ": Refused("a DDS texture", AS_PNG), b"\xabKTX ": Refused("a KTX texture", AS_PNG),
    b"glTF": Refused("a GLB mesh", "give a mesh to `refine`"),
}


def kind_of(data: bytes) -> str | None:
    """"PNG", "JPEG", "WEBP", "BMP" or "GIF"; None for a file of another kind."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    if data.startswith(b"BM"):
        return "BMP"
    return "GIF" if data.startswith((b"GIF87a", b"GIF89a")) else None


def refused_kind(data: bytes) -> Refused | None:
    """What a file is that is not read; None for one that is no known kind of picture."""
    if data[BRANDS_AT:BRANDS_AT + 4] == b"ftyp":
        brands = _brands(data)
        if any(brand in AVIF_BRANDS for brand in brands):
            return AVIF
        return HEIC if any(brand in HEIF_BRANDS for brand in brands) else None
    if b"<svg" in data[:4096].lower():
        return SVG
    return next((kind for start, kind in REFUSED.items() if data.startswith(start)), None)


def _brands(data: bytes) -> list[bytes]:
    """The major brand and the compatible ones of an ISO base media file (ISO/IEC 14496-12, section 4.3)."""
    end = min(int.from_bytes(data[:4], "big"), 256)
    return [data[8:12], *(data[at:at + 4] for at in range(16, end, 4))]
