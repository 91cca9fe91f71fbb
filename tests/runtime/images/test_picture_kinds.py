"""Kinds of files by their first bytes: what is refused is named, with what to do."""

import io
import struct

import pytest
from PIL import Image

from meshwright.engines.errors import InputError
from meshwright.runtime.images.picture_decoding import kind_of, refused_kind
from meshwright.runtime.images.pictures import read_picture


def saved(kind, **options):
    file = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(file, kind, **options)
    return file.getvalue()


def iso_media(major, *compatible):
    """The first box of an ISO base media file."""
    body = major + bytes(4) + b"".join(compatible)
    return struct.pack(">I", 8 + len(body)) + b"ftyp" + body + bytes(64)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF"])
def test_kinds_that_are_read(kind):
    assert kind_of(saved(kind)) == kind and refused_kind(saved(kind)) is None


@pytest.mark.parametrize(("data", "name", "remedy"), [
    (iso_media(b"heic", b"mif1", b"heic"), "a HEIC picture", "heif-convert"),
    (iso_media(b"mif1", b"mif1", b"heic"), "a HEIC picture", "heif-convert"),
    (iso_media(b"avif", b"mif1", b"miaf"), "an AVIF picture", "avifdec"),
    (iso_media(b"mif1", b"mif1", b"avif"), "an AVIF picture", "avifdec"),
    (saved("TIFF"), "a TIFF picture", "save it as a PNG or JPEG"),
    (saved("TIFF", big_tiff=True), "a TIFF picture", "save it as a PNG or JPEG"),
    (b"MM\0*\0\0\0\x08", "a TIFF picture", "save it as a PNG or JPEG"),
    (saved("ICO"), "an ICO icon", "save its largest picture as a PNG"),
    (b"8BPS\0\1", "a Photoshop document", "export it as a PNG"),
    (b"\xff\x0a\0", "a JPEG XL picture", "djxl"),
    (b"<svg xmlns='x'/>", "an SVG drawing", "save the drawing as a PNG"),
    (b"<?xml version='1.0'?>\n<!-- a mug -->\n<SVG>", "an SVG drawing", "save the drawing as a PNG"),
    (b"%PDF-1.7", "a PDF document", "save the page as a PNG"),
    (b"glTF\2\0\0\0", "a GLB mesh", "refine"),
])
def test_kinds_that_are_refused_by_name(tmp_path, data, name, remedy):
    """Whatever the ending says."""
    (tmp_path / "mug.png").write_bytes(data)
    with pytest.raises(InputError, match=f"mug.png is not a readable picture; received {name}; expected a whole PNG.*{remedy}"):
        read_picture(tmp_path / "mug.png")


@pytest.mark.parametrize("data", [b"", b"a mug", iso_media(b"isom", b"mp42"), b"II", b"RIFF\0\0\0\0WAVE"])
def test_kinds_that_are_not_known(data):
    assert kind_of(data) is None and refused_kind(data) is None
