"""The segments of a JPEG (ITU-T T.81, annex B): what says which way is up is taken out.

Pillow would read all of the EXIF for the resolution, which nobody needs here, and warn of each entry that is broken.
"""

from __future__ import annotations

from dataclasses import dataclass

APP1, START_OF_SCAN = 0xE1, 0xDA
EXIF, XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"


@dataclass(frozen=True)
class Jpeg:
    """data : the file without EXIF and XMP; exif : what the EXIF held, from its byte order on; xmp; None where there is none"""

    data: bytes
    exif: bytes | None = None
    xmp: bytes | None = None


def take_apart(data: bytes) -> Jpeg:
    """What a JPEG file holds. Nothing is refused here: what is cut off or broken stays for the decoder to refuse."""
    kept, exif, xmp, at, begin = [], b"", b"", 2, 0
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != START_OF_SCAN:
        if data[at + 1] == 0xFF:  # a fill byte
            at += 1
            continue
        end = at + 2 + int.from_bytes(data[at + 2:at + 4], "big")
        if data[at + 1] == APP1 and end <= len(data):
            body = data[at + 4:end]
            exif += body[len(EXIF):] if body.startswith(EXIF) else b""
            xmp += body[len(XMP):] if body.startswith(XMP) else b""
            kept.append(memoryview(data)[begin:at])
            begin = end
        at = end
    rest = memoryview(data)[begin:]
    return Jpeg(b"".join([*kept, rest]) if kept else data, exif or None, xmp or None)
