"""Which way up a picture is to be seen: the entry 0x0112 of its EXIF (TIFF 6.0, section 2), else XMP's tiff:Orientation.

Pillow's own reader of EXIF warns through the `warnings` of the whole process; this reads the one entry that counts.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

ORIENTATION = 0x0112
TYPES = {1: "B", 3: "H", 4: "I"}  # BYTE, SHORT, LONG
STATEMENT = re.compile(rb"tiff:Orientation(?:=\"|>)([0-9])")


def orientation(exif: bytes | None, xmp: bytes | None) -> int:
    """1 to 8; 1, upright, where nothing says otherwise, or what says it cannot be read."""
    found = None if exif is None else _entry(exif.removeprefix(b"Exif\0\0"))
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
