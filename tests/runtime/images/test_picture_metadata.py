"""What a PNG says beside its pixels: transparent values at every depth, long texts, bombs, further frames, the way up."""

import struct
import threading
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile, PngImagePlugin

from meshwright.engines.errors import InputError
from meshwright.runtime.images.picture_metadata import parse_png
from meshwright.runtime.images.pictures import read_picture
from tests.runtime.images.test_pictures import LEFT_IS_RED, chunk

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png(depth, color_type, rows, *before, width=4):
    """A PNG of rows of bytes, with further chunks before its data."""
    header = struct.pack(">IIBBBBB", width, len(rows), depth, color_type, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))
    return SIGNATURE + b"".join([chunk(b"IHDR", header), *before, chunk(b"IDAT", data), chunk(b"IEND", b"")])


def with_chunks(path, *chunks, last=False):
    """The PNG file with chunks behind its header, or before its end."""
    data = path.read_bytes()
    at = len(data) - 12 if last else 33
    path.write_bytes(data[:at] + b"".join(chunks) + data[at:])
    return path


@pytest.fixture
def plain(tmp_path):
    """A PNG file: its left half is red."""
    Image.fromarray(LEFT_IS_RED).save(tmp_path / "a.png")
    return tmp_path / "a.png"


@pytest.mark.parametrize(("depth", "row", "value", "greys"), [
    (1, [0b01010000], 1, [0, 255, 0, 255]),
    (2, [0b00011011], 2, [0, 85, 170, 255]),
    (4, [0x05, 0xAF], 10, [0, 85, 170, 255]),
    (8, [0, 10, 20, 255], 10, [0, 10, 20, 255]),
    (16, [0, 0, 1, 1, 1, 2, 255, 255], 0x0101, [0, 1, 1, 255]),
])
def test_the_transparent_grey(tmp_path, depth, row, value, greys):
    """At 16 bits, 0x0101 and 0x0102 are the same grey of 8 bits, and only one of them is clear."""
    (tmp_path / "a.png").write_bytes(png(depth, 0, [row], chunk(b"tRNS", struct.pack(">H", value))))
    found = read_picture(tmp_path / "a.png").pixels[0]
    assert found[:, 0].tolist() == found[:, 2].tolist() == greys
    clear = {1: [1, 3], 2: [2], 4: [2], 8: [1], 16: [1]}[depth]
    assert np.flatnonzero(found[:, 3] == 0).tolist() == clear and set(found[:, 3].tolist()) == {0, 255}


@pytest.mark.parametrize(("depth", "row", "value"), [
    (8, bytes((1, 2, 3, 1, 2, 4, 1, 2, 3, 9, 9, 9)), (1, 2, 3)),
    (16, struct.pack(">12H", 257, 514, 771, 257, 514, 772, 257, 514, 771, 0, 0, 0), (257, 514, 771)),
])
def test_the_transparent_colour(tmp_path, depth, row, value):
    (tmp_path / "a.png").write_bytes(png(depth, 2, [row], chunk(b"tRNS", struct.pack(">3H", *value))))
    found = read_picture(tmp_path / "a.png").pixels[0]
    assert found[:, 3].tolist() == [0, 255, 0, 255] and found[0].tolist() == [1, 2, 3, 0]


@pytest.mark.parametrize(("depth", "row"), [(1, [0b01100000]), (2, [0b00010100]), (4, [0x01, 0x10]), (8, [0, 1, 1, 0])])
@pytest.mark.parametrize("alphas", [b"\xff\0", b"\x80\x07"])
def test_the_transparent_colours_of_a_palette(tmp_path, depth, row, alphas):
    palette, transparent = chunk(b"PLTE", bytes((255, 0, 0, 0, 0, 255))), chunk(b"tRNS", alphas)
    (tmp_path / "a.png").write_bytes(png(depth, 3, [row], palette, transparent))
    found = read_picture(tmp_path / "a.png").pixels[0]
    assert found[:, 0].tolist() == [255, 0, 0, 255] and found[:, 3].tolist() == [alphas[0], alphas[1], alphas[1], alphas[0]]


def test_an_interlaced_colour_of_sixteen_bits(tmp_path):
    """Adam7 on a single pixel is one pass of one pixel."""
    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 1)
    data = zlib.compress(b"\0" + struct.pack(">3H", 257, 514, 771))
    for value, alpha in (((257, 514, 771), 0), ((257, 514, 770), 255)):
        (tmp_path / "a.png").write_bytes(SIGNATURE + b"".join([
            chunk(b"IHDR", header), chunk(b"tRNS", struct.pack(">3H", *value)), chunk(b"IDAT", data), chunk(b"IEND", b"")]))
        assert read_picture(tmp_path / "a.png").pixels[0, 0].tolist() == [1, 2, 3, alpha]


def test_only_the_low_bits_of_a_transparent_value_count(tmp_path):
    (tmp_path / "a.png").write_bytes(png(2, 0, [[0b00011011]], chunk(b"tRNS", b"\xff\xfe")))
    assert read_picture(tmp_path / "a.png").pixels[0, :, 3].tolist() == [255, 255, 0, 255]


def test_a_transparent_value_that_is_cut_off_says_nothing(tmp_path):
    (tmp_path / "a.png").write_bytes(png(8, 0, [[0, 1, 2, 3]], chunk(b"tRNS", b"\0")))
    assert read_picture(tmp_path / "a.png").pixels.shape == (1, 4, 3)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("text", [
    chunk(b"tEXt", b"prompt\0" + b"a mug " * 1_000_000), chunk(b"zTXt", b"prompt\0\0" + zlib.compress(bytes(1 << 26), 9)),
    chunk(b"iTXt", b"prompt\0\1\0\0\0" + zlib.compress(bytes(1 << 26), 9)), chunk(b"zTXt", b"prompt\0\0broken") * 100,
    chunk(b"prVt", bytes(1000)), chunk(b"tIME", b"")[:-1] + b"x"],
    ids=["long", "zTXt bomb", "iTXt bomb", "many broken", "private", "wrong checksum"])
def test_what_only_describes_a_picture_does_not_matter(plain, text, last):
    """Pillow refuses texts of more than a megabyte."""
    np.testing.assert_array_equal(read_picture(with_chunks(plain, text, last=last)).pixels, LEFT_IS_RED)


def test_a_picture_without_texts_is_not_copied(plain):
    data = plain.read_bytes()
    assert parse_png(data).data is data


def test_the_end_may_be_followed_by_anything(plain):
    plain.write_bytes(plain.read_bytes() + b"PK\3\4" + bytes(1000))
    np.testing.assert_array_equal(read_picture(plain).pixels, LEFT_IS_RED)


def test_a_file_that_is_cut_off_is_still_refused(plain):
    with_chunks(plain, chunk(b"tEXt", b"a\0b"))
    plain.write_bytes(plain.read_bytes()[:-30])
    with pytest.raises(InputError, match="a.png is not a readable picture"):
        read_picture(plain)


def test_the_way_up_from_texts(plain):
    """XMP, and what ImageMagick writes, plain and compressed; LEFT_IS_RED turned to the right is 6 wide."""
    tiff = b"MM\0*\0\0\0\x08\0\1" + struct.pack(">HHIHHI", 0x0112, 3, 1, 6, 0, 0)
    raw = b"\nexif\n%d\n" % len(tiff) + tiff.hex().encode()
    data = plain.read_bytes()
    for text in (chunk(b"iTXt", b'XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation="6"/>'), chunk(b"eXIf", tiff),
                 chunk(b"tEXt", b"Raw profile type exif\0" + raw), chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(raw))):
        plain.write_bytes(data)
        assert read_picture(with_chunks(plain, text)).pixels.shape == (4, 6, 3)
        with Image.open(plain) as image:
            assert image.getexif()[0x0112] == 6  # Pillow reads it so


def test_no_setting_of_the_process_changes(plain, monkeypatch):
    """Another thread that looks at them while pictures are read sees what it saw before."""
    def settings():
        return (Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY, ImageFile.LOAD_TRUNCATED_IMAGES)

    before, seen, stop = settings(), set(), threading.Event()

    def watch():
        while not stop.is_set():
            seen.add(settings())

    with_chunks(plain, chunk(b"tEXt", b"prompt\0" + b"a mug " * 1_000_000))
    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(5):
        read_picture(plain)
    stop.set()
    watcher.join()
    assert seen == {before}
