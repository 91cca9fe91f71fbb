"""What PNG and JPEG files hold beside their pixels, taken out of them and read under limits of our own.

Chunks of a PNG follow W3C PNG, third edition; segments of a JPEG ITU-T T.81, annex B; orientation is the entry 0x0112 of EXIF (TIFF
6.0, section 2), else XMP's tiff:Orientation. Pillow decodes compressed text under limits that are settings of the whole process, and
its reader of EXIF warns through the `warnings` of the whole process; so it is given only what makes the pixels.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"CgBI")
MAX_PROFILE = 16 << 20  # bytes of an ICC profile, unpacked; profiles of presses have 2 MB
MAX_TEXT = 1 << 20  # bytes of a text that is looked at for the way up
GREY, RGB, PALETTE = 0, 2, 3  # colour types
PNG_XMP, RAW_EXIF = b"XML:com.adobe.xmp", b"Raw profile type exif"
SRGB_CODE_POINTS = (1, 13)  # primaries and transfer function of a cICP chunk (ITU-T H.273)
APP1, START_OF_SCAN = 0xE1, 0xDA
JPEG_EXIF, JPEG_XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
ORIENTATION = 0x0112
TYPES = {1: "B", 3: "H", 4: "I"}  # BYTE, SHORT, LONG
STATEMENT = re.compile(rb"tiff:Orientation(?:=\"|>)([0-9])")


@dataclass
class Png:
    """A PNG taken apart.

    data : a file with the chunks that make the pixels, in their order; the transparent value is left to `transparent`
        for grey and RGB
    depth, color_type : bits a sample; 0 grey, 2 RGB, 3 palette, 4 grey with alpha, 6 RGBA
    transparent : one sample (grey) or three (RGB) of `depth` bits that mean clear; None without
    profile : the ICC profile, None without, empty where it cannot be unpacked
    exif : what eXIf or ImageMagick's text holds, from its byte order on; None without
    xmp : uncompressed XMP; None without
    animated : it has further frames
    other_colors : a cICP chunk names colours that are not sRGB's
    """

    data: bytes
    depth: int = 8
    color_type: int = RGB
    transparent: tuple[int, ...] | None = None
    profile: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    animated: bool = False
    other_colors: bool = False


def parse_png(data: bytes) -> Png:
    """What a PNG file holds. Nothing is refused here: what is cut off or broken stays for the decoder to refuse."""
    png = Png(data)
    kept, dropped, at, begin = [], False, len(SIGNATURE), 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        body = memoryview(data)[at + 8:at + 8 + length]
        if kind not in PIXELS or (kind == b"tRNS" and png.color_type != PALETTE):
            kept.append((begin, at))
            begin, dropped = min(end, len(data)), True
        if len(body) == length and kind != b"IDAT":
            _note(png, kind, body)
        at = end
        if kind == b"IEND":
            break
    if dropped:
        view = memoryview(data)
        png.data = b"".join([*(view[start:stop] for start, stop in kept), view[begin:]])
    return png


def _note(png: Png, kind: bytes, body: memoryview) -> None:
    """Read one chunk that matters here."""
    if kind == b"IHDR" and len(body) >= 13:
        png.depth, png.color_type = body[8], body[9]
    elif kind == b"tRNS" and png.color_type in (GREY, RGB):
        samples = 1 if png.color_type == GREY else 3
        if len(body) >= 2 * samples:
            # Only the low bits count, as the specification says.
            png.transparent = tuple(value % (1 << png.depth) for value in struct.unpack_from(f">{samples}H", body))
    elif kind == b"iCCP":
        png.profile = _unpacked_profile(bytes(body))
    elif kind == b"eXIf":
        png.exif = bytes(body)
    elif kind in (b"iTXt", b"tEXt", b"zTXt"):
        _note_text(png, kind, body)
    elif kind == b"acTL" and len(body) >= 8:
        png.animated = struct.unpack_from(">I", body)[0] > 1
    elif kind == b"cICP" and len(body) >= 4:
        png.other_colors = tuple(body[:2]) != SRGB_CODE_POINTS


def _unpacked_profile(body: bytes) -> bytes:
    """Empty where it is broken or too large."""
    _, _, rest = body.partition(b"\0")
    if rest[:1] != b"\0":  # the one way of compression that there is
        return b""
    return _unpacked(rest[1:], MAX_PROFILE)


def _note_text(png: Png, kind: bytes, body: memoryview) -> None:
    """Take a text that may say which way is up; all others are passed over, however large."""
    name, _, text = bytes(body[:MAX_TEXT + 256]).partition(b"\0")
    if name == PNG_XMP and kind == b"iTXt" and text[:1] == b"\0":
        png.xmp = text
    elif name == RAW_EXIF and kind != b"iTXt" and png.exif is None:
        png.exif = _from_hexadecimal(text if kind == b"tEXt" else _unpacked(text[1:], MAX_TEXT))


def _from_hexadecimal(text: bytes) -> bytes | None:
    """What ImageMagick writes: a name and a length on lines of their own, then the bytes in hexadecimal."""
    try:
        return bytes.fromhex(b"".join(text.split(b"\n")[3:]).decode("ascii"))
    except ValueError:
        return None


def _unpacked(data: bytes, max_bytes: int) -> bytes:
    """Empty where it is no zlib stream, or unpacks to more than `max_bytes` bytes."""
    unpacker = zlib.decompressobj()
    try:
        found = unpacker.decompress(data, max_bytes)
    except zlib.error:
        return b""
    return found if unpacker.eof else b""


@dataclass(frozen=True)
class Jpeg:
    """data : the file without EXIF and XMP; exif : what the EXIF held, from its byte order on; xmp; None where there is none"""

    data: bytes
    exif: bytes | None = None
    xmp: bytes | None = None


def parse_jpeg(data: bytes) -> Jpeg:
    """What a JPEG file holds. Nothing is refused here: what is cut off or broken stays for the decoder to refuse."""
    kept, exif, xmp, at, begin = [], b"", b"", 2, 0
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != START_OF_SCAN:
        if data[at + 1] == 0xFF:  # a fill byte
            at += 1
            continue
        end = at + 2 + int.from_bytes(data[at + 2:at + 4], "big")
        if data[at + 1] == APP1 and end <= len(data):
            body = data[at + 4:end]
            exif += body[len(JPEG_EXIF):] if body.startswith(JPEG_EXIF) else b""
            xmp += body[len(JPEG_XMP):] if body.startswith(JPEG_XMP) else b""
            kept.append(memoryview(data)[begin:at])
            begin = end
        at = end
    rest = memoryview(data)[begin:]
    return Jpeg(b"".join([*kept, rest]) if kept else data, exif or None, xmp or None)


def orientation(exif: bytes | None, xmp: bytes | None) -> int:
    """1 to 8; 1, upright, where nothing says otherwise, or what says it cannot be read."""
    found = None if exif is None else _entry(exif.removeprefix(JPEG_EXIF))
    if found is None and xmp is not None and (match := STATEMENT.search(xmp)):
        found = int(match[1])
    return found if found is not None and 1 <= found <= 8 else 1


def upright(image: Image, turn: int) -> Image:
    """The picture turned and mirrored as an orientation of 1 to 8 says."""
    from PIL.Image import Transpose

    ways = {2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM, 5: Transpose.TRANSPOSE,
            6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE, 8: Transpose.ROTATE_90}
    return image.transpose(ways[turn]) if turn in ways else image


def _entry(tiff: bytes) -> int | None:
    """The orientation in the first directory of a TIFF structure; None where there is none."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return None
    try:
        first = struct.unpack_from(f"{order}I", tiff, 4)[0]
        for at in range(first + 2, first + 2 + 12 * struct.unpack_from(f"{order}H", tiff, first)[0], 12):
            tag, kind, count = struct.unpack_from(f"{order}HHI", tiff, at)
            if tag == ORIENTATION and kind in TYPES and count == 1:
                return struct.unpack_from(order + TYPES[kind], tiff, at + 8)[0]
    except struct.error:  # it ends before it should
        pass
    return None
