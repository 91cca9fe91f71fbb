"""Kinds of picture files by their first bytes: those that are read, and those that are refused by name."""

from __future__ import annotations

from dataclasses import dataclass

READS = "PNG, JPEG, WebP, BMP or GIF"
AS_PNG = "save it as a PNG or JPEG"
BRANDS_AT = 4  # of an ISO base media file: four bytes of length, "ftyp", the major brand
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
AVIF_BRANDS = (b"avif", b"avis")


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
