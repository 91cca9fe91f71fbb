"""Small pictures of every kind that is read, and damaged copies of them."""

import io
import random
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.hard.mutations import bytes_changed
from meshwright.engines.errors import InputError
from meshwright.runtime.images.pictures import read_picture
from tests.runtime.icc_profiles import P3_PRIMARIES, curve, grey_profile, ink_profile, rgb_profile


def seeds() -> dict[str, bytes]:
    """Small valid pictures of every kind that is read, by name."""
    colours = np.random.default_rng(0).integers(0, 256, (24, 20, 4), np.uint8)
    rgba = Image.fromarray(colours)
    rgb, grey = rgba.convert("RGB"), rgba.convert("L")
    deep = Image.fromarray(np.arange(480, dtype=np.uint16).reshape(24, 20) * 137)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "camera"
    turned = rgb.rotate(90)
    return {
        "rgb.png": _saved(rgb, "PNG", exif=exif), "rgba.png": _saved(rgba, "PNG"), "grey.png": _saved(grey, "PNG"),
        "deep.png": _saved(deep, "PNG"), "palette.png": _saved(rgb.convert("P"), "PNG", transparency=3),
        "bits.png": _saved(rgb.convert("1"), "PNG"), "animated.png": _saved(rgb, "PNG", save_all=True, append_images=[turned]),
        "rgb.jpg": _saved(rgb, "JPEG", exif=exif), "progressive.jpg": _saved(rgb, "JPEG", progressive=True),
        "grey.jpg": _saved(grey, "JPEG"), "cmyk.jpg": _saved(rgb.convert("CMYK"), "JPEG"),
        "lossy.webp": _saved(rgb, "WEBP"), "lossless.webp": _saved(rgba, "WEBP", lossless=True, exif=exif),
        "animated.webp": _saved(rgba, "WEBP", save_all=True, append_images=[rgba.rotate(90)]),
        **_with_profiles(rgb, grey, rgba),
        "rgb.bmp": _saved(rgb, "BMP"), "palette.bmp": _saved(rgb.convert("P"), "BMP"), "bits.bmp": _saved(rgb.convert("1"), "BMP"),
        "palette.gif": _saved(rgb.convert("P"), "GIF", transparency=3),
        "animated.gif": _saved(rgb, "GIF", save_all=True, append_images=[turned, rgb]),
    }


def _with_profiles(rgb: Image.Image, grey: Image.Image, rgba: Image.Image) -> dict[str, bytes]:
    """Pictures whose colours are converted: a profile of each kind, in each format that carries one."""
    display, dark, press = rgb_profile(P3_PRIMARIES), grey_profile(curve(1.0)), ink_profile()
    return {
        "display_profile.png": _saved(rgb, "PNG", icc_profile=display), "display_profile.jpg": _saved(rgb, "JPEG", icc_profile=display),
        "display_profile.webp": _saved(rgba, "WEBP", lossless=True, icc_profile=display),
        "grey_profile.png": _saved(grey, "PNG", icc_profile=dark), "grey_profile.jpg": _saved(grey, "JPEG", icc_profile=dark),
        "press_profile.jpg": _saved(rgb.convert("CMYK"), "JPEG", icc_profile=press),
    }


def mutated(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """As `bytes_changed`; in a PNG the checksums are put right again more often than not, so that its chunks are looked at."""
    changed = bytes_changed(data, rng, other=other)
    return _with_checksums(changed) if changed.startswith(b"\x89PNG") and rng.random() < 0.7 else changed


def judged(path: Path) -> str:
    """"read" or "refused"; anything but InputError is raised."""
    try:
        picture = read_picture(path)
    except InputError:
        return "refused"
    pixels = picture.pixels
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (3, 4) or not pixels.size:
        raise AssertionError(f"no picture: {pixels.dtype} {pixels.shape}")
    return "read"


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _with_checksums(data: bytes) -> bytes:
    out, at = bytearray(data[:8]), 8
    while at + 12 <= len(data):
        length = struct.unpack_from(">I", data, at)[0]
        body = data[at + 4:at + 8 + length]
        if len(body) < 4 + length:
            break
        out += data[at:at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + length
    return bytes(out + data[at:])
