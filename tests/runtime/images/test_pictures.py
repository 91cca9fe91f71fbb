"""Pictures: what is read, what is refused, and how they are laid out for a network."""

import os
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from meshwright.engines.errors import InputError
from meshwright.runtime.images import pictures
from meshwright.runtime.images.pictures import Picture, downscaled, preprocess, preprocess_control, read_picture, resized
from meshwright.runtime.pack.manifest import Resize

LEFT_IS_RED = np.full((6, 4, 3), (0, 0, 255), np.uint8)
LEFT_IS_RED[:, :2] = (255, 0, 0)
UPRIGHT_FROM_RIGHT = 6  # the EXIF orientation of a camera that was held on its right side


def chunk(kind, body):
    """One chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def header_of_png(width, height):
    """A PNG of 8-bit grey up to its first data."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + struct.pack(">I", 60_000) + b"IDAT"


@pytest.mark.parametrize(("name", "options"), [
    ("a.png", {}), ("a.webp", {"lossless": True}), ("A.JPG", {"quality": 100}), ("a.bmp", {}), ("a.gif", {})])
def test_formats(tmp_path, name, options):
    Image.fromarray(LEFT_IS_RED).resize((64, 96), Image.Resampling.NEAREST).save(tmp_path / name, **options)
    picture = read_picture(tmp_path / name)
    assert picture.pixels.shape == (96, 64, 3) and picture.pixels.dtype == np.uint8
    assert np.abs(picture.pixels[:, :24].mean((0, 1)) - (255, 0, 0)).max() < 4


@pytest.mark.parametrize(("mode", "channels"), [("L", 3), ("LA", 4), ("P", 3), ("RGBA", 4), ("1", 3), ("CMYK", 3)])
def test_modes(tmp_path, mode, channels):
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.fromarray(LEFT_IS_RED).convert("RGBA" if mode in ("LA", "RGBA") else "RGB").convert(mode).save(path)
    assert read_picture(path).pixels.shape == (6, 4, channels)


def test_sixteen_bits_are_scaled(tmp_path):
    Image.fromarray(np.array([[0, 257 * 100, 65535]], np.uint16)).save(tmp_path / "deep.png")
    assert read_picture(tmp_path / "deep.png").pixels[0, :, 0].tolist() == [0, 100, 255]


def test_sixteen_bits_of_every_channel(tmp_path):
    """Written by hand, because Pillow writes no such file: one row of two colours with alpha."""
    values = np.array([[65535, 257 * 100, 0, 65535], [0, 257 * 7, 257 * 200, 257 * 128]], ">u2")
    path = tmp_path / "deep.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, body) for kind, body in (
        (b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 6, 0, 0, 0)), (b"IDAT", zlib.compress(b"\0" + values.tobytes())), (b"IEND", b""))))
    assert read_picture(path).pixels[0].tolist() == [[255, 100, 0, 255], [0, 7, 200, 128]]


def test_cmyk_keeps_its_colours(tmp_path):
    Image.new("RGB", (32, 32), (255, 128, 0)).convert("CMYK").save(tmp_path / "a.jpg", quality=100)
    assert np.abs(read_picture(tmp_path / "a.jpg").pixels[16, 16].astype(int) - (255, 128, 0)).max() <= 3


def test_a_transparent_colour_of_a_gif(tmp_path):
    palette = Image.fromarray(LEFT_IS_RED).convert("P")
    palette.save(tmp_path / "a.gif", transparency=palette.getpixel((0, 0)))
    assert read_picture(tmp_path / "a.gif").pixels[0, :, 3].tolist() == [0, 0, 255, 255]


def test_a_transparent_colour_of_a_palette(tmp_path):
    palette = Image.fromarray(LEFT_IS_RED).convert("P")
    palette.save(tmp_path / "a.png", transparency=palette.getpixel((0, 0)))
    assert read_picture(tmp_path / "a.png").pixels[0, :, 3].tolist() == [0, 0, 255, 255]


def test_turned_as_exif_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = UPRIGHT_FROM_RIGHT
    Image.fromarray(LEFT_IS_RED).save(tmp_path / "turned.png", exif=exif)
    pixels = read_picture(tmp_path / "turned.png").pixels
    assert pixels.shape == (4, 6, 3)  # a quarter to the right: what was left is on top
    assert pixels[0, 0].tolist() == [255, 0, 0] and pixels[3, 0].tolist() == [0, 0, 255]


def test_the_hash_is_the_files(tmp_path):
    import hashlib

    path = tmp_path / "a.png"
    Image.fromarray(LEFT_IS_RED).save(path)
    assert read_picture(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert read_picture(path) == read_picture(path) != Picture.of(LEFT_IS_RED)
    assert Picture.of(LEFT_IS_RED) == Picture.of(LEFT_IS_RED.copy()) != Picture.of(LEFT_IS_RED.reshape(4, 6, 3))


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"a mug", b"RIFF\0\0\0\0WEBP"])
def test_files_that_are_no_pictures(tmp_path, data):
    (tmp_path / "a.png").write_bytes(data)
    message = f"a.png is not a readable picture; received {len(data)} bytes.*whole PNG, JPEG, WebP, BMP or GIF"
    with pytest.raises(InputError, match=message) as refused:
        read_picture(tmp_path / "a.png")
    assert "object at" not in str(refused.value)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_the_first_frame_of_an_animation(tmp_path, kind):
    """A PNG's is read from its plain picture, which is its first frame here."""
    blue = Image.new("RGB", (20, 30), (0, 0, 255))
    Image.new("RGB", (20, 30), (255, 0, 0)).save(tmp_path / "a", kind, save_all=True, append_images=[blue, blue])
    picture = read_picture(tmp_path / "a")
    assert picture.pixels.shape == (30, 20, 3) and np.abs(picture.pixels.astype(int) - (255, 0, 0)).max() < 4
    assert picture.notices == ("the picture is an animation; its first frame is used",)


def test_a_still_picture_has_no_notice(tmp_path):
    for kind in ("GIF", "WEBP", "PNG", "BMP", "JPEG"):
        Image.fromarray(LEFT_IS_RED).save(tmp_path / "a", kind)
        assert read_picture(tmp_path / "a").notices == ()


def test_an_exif_entry_that_cannot_be_read_says_nothing(tmp_path):
    plain, broken = tmp_path / "plain.jpg", tmp_path / "broken.jpg"
    exif = Image.Exif()
    exif[0x0112] = UPRIGHT_FROM_RIGHT
    Image.fromarray(LEFT_IS_RED).save(plain, exif=exif)
    data = plain.read_bytes()
    at = data.index(b"Exif\0\0") + 6
    broken.write_bytes(data[:at] + b"XX" + data[at + 2:])  # where the order of its bytes is told
    assert read_picture(plain).pixels.shape == (4, 6, 3) and read_picture(broken).pixels.shape == (6, 4, 3)


def test_a_small_file_with_a_huge_first_frame(tmp_path):
    """The frame of a GIF may be larger than the picture says that it is."""
    path = tmp_path / "bomb.gif"
    Image.fromarray(LEFT_IS_RED).convert("P").save(path)
    data = bytearray(path.read_bytes())
    at = data.index(b"\x2c\0\0\0\0")  # the frame's place, then its width and height
    data[at + 5:at + 9] = struct.pack("<HH", 60_000, 60_000)
    path.write_bytes(data)
    with pytest.raises(InputError, match="bomb.gif is too large; received .*3600000000 pixels"):
        read_picture(path)


def test_resized():
    assert resized(LEFT_IS_RED, 6, 4) is LEFT_IS_RED
    larger = resized(LEFT_IS_RED, 60, 40)
    assert larger.shape == (60, 40, 3) and larger[30, 2].tolist() == [255, 0, 0] and larger[30, 37].tolist() == [0, 0, 255]
    assert resized(LEFT_IS_RED[..., 0], 12, 8).shape == (12, 8)


def test_shrunk():
    whole = Picture.of(LEFT_IS_RED.repeat(50, 0).repeat(50, 1))
    assert downscaled(whole, 300) is whole
    small = downscaled(whole, 30)
    assert small.pixels.shape == (30, 20, 3) and small.pixels[15, 2].tolist() == [255, 0, 0]
    assert downscaled(Picture.of(np.zeros((1, 1000, 3), np.uint8)), 100).pixels.shape == (1, 100, 3)


def test_colours_below_clear_alpha_do_not_bleed():
    pixels = np.dstack([LEFT_IS_RED.repeat(50, 0).repeat(50, 1), np.zeros((300, 200, 1), np.uint8)])
    pixels[:, :90, 3] = 255  # blue is to the right of column 100, and clear
    edge = downscaled(Picture.of(pixels), 30).pixels
    assert (edge[edge[..., 3] > 0][:, 2] == 0).all()


@pytest.mark.parametrize(("name", "received"), [
    (".", "a folder; expected a regular file"), ("none.png", "No such file"), ("a\0b", "null byte"), ("-", "No such file"),
    ("/dev/zero", "a device; expected a regular file"), ("/dev/null", "a device")])
def test_files_that_cannot_be_opened(tmp_path, name, received):
    with pytest.raises(InputError, match=f"cannot be read; received .*{received}"):
        read_picture(name if "\0" in name else tmp_path / name)


@pytest.mark.parametrize(("side", "message"), [
    (14_142, "not a readable picture"), (14_143, "too large; received 14143 by 14143.*at most 200 megapixels")])
def test_200_megapixels_are_the_most(tmp_path, side, message):
    """Refused from the header alone: the picture is cut off behind it."""
    path = tmp_path / "big.png"
    path.write_bytes(header_of_png(side, side) + bytes(60_000))
    with pytest.raises(InputError, match=message):
        read_picture(path)


def test_a_pipe_is_not_waited_for(tmp_path):
    """Nobody writes into this one."""
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(InputError, match="a.png cannot be read; received a FIFO; expected a regular file"):
        read_picture(tmp_path / "a.png")


def test_more_bytes_than_any_picture_has(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "MAX_BYTES", 1_000_000)
    (tmp_path / "a.png").write_bytes(bytes(1_000_001))
    with pytest.raises(InputError, match="a.png is too large; received 1000001 bytes; expected at most 1000000 bytes"):
        read_picture(tmp_path / "a.png")


def test_a_small_file_that_unpacks_to_a_huge_picture(tmp_path):
    """Refused from the header alone; 16 megapixels of one colour, in as few bytes, are read."""
    path = tmp_path / "flat.png"
    path.write_bytes(header_of_png(10_000, 10_000))
    with pytest.raises(InputError, match=r"far larger than its file; received 10000 by 10000 pixels in \d+ bytes; expected at most 4096"):
        read_picture(path)
    Image.new("L", (4000, 4000)).save(tmp_path / "flat.png")
    assert read_picture(tmp_path / "flat.png").pixels.shape == (4000, 4000, 3)


def test_the_limit_of_pillow_is_left_as_it_was(tmp_path):
    Image.fromarray(LEFT_IS_RED).save(tmp_path / "a.png")
    before, filters = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
    read_picture(tmp_path / "a.png")
    assert before == Image.MAX_IMAGE_PIXELS > 0 and warnings.filters == filters


@pytest.mark.parametrize("array", [None, LEFT_IS_RED.astype(np.float32), LEFT_IS_RED[0], LEFT_IS_RED[..., :2], LEFT_IS_RED[:0]],
                         ids=["none", "float", "flat", "two-channels", "empty"])
def test_arrays_that_are_no_pictures(array):
    with pytest.raises(InputError, match="not a picture"):
        Picture.of(array)


@pytest.mark.parametrize(("background", "grey"), [(1.0, 255), (127 / 255, 127), (0.0, 0)])
def test_alpha_is_laid_on_the_background(background, grey):
    pixels = np.full((4, 4, 4), 100, np.uint8)
    pixels[:2, :, 3], pixels[2:, :, 3] = 0, 255
    image = preprocess(Picture.of(pixels), background, Resize(4, "bicubic"))
    assert image.shape == (1, 3, 4, 4) and image.dtype == np.float32
    np.testing.assert_array_equal(np.unique(image[0, :, 0] * 255), [grey])
    np.testing.assert_array_equal(np.unique(image[0, :, 3] * 255), [100])


def test_half_transparent_pixels_are_mixed():
    image = preprocess(Picture.of(np.array([[[200, 100, 0, 51]]], np.uint8)), 1.0, Resize(1, "bilinear"))
    np.testing.assert_allclose(image.ravel() * 255, [244, 224, 204], atol=1)  # a fifth of the colour, four of white


@pytest.mark.parametrize(("shape", "inside"), [((8, 4), np.s_[:, 4:12]), ((4, 8), np.s_[4:12, :])])
def test_padded_to_a_square_in_the_middle(shape, inside):
    image = preprocess(Picture.of(np.zeros((*shape, 3), np.uint8)), 1.0, Resize(16, "bilinear"))[0, 0]
    padded = np.ones((16, 16))
    padded[inside] = 0
    np.testing.assert_array_equal(image, padded)


def test_a_long_thin_picture_needs_little_memory():
    image = preprocess(Picture.of(np.zeros((1, 1_000_000, 3), np.uint8)), 1.0, Resize(32, "bicubic"))
    assert image.shape == (1, 3, 32, 32) and (image == 0).sum() == 3 * 32


@pytest.mark.parametrize("resample", ["bicubic", "bilinear"])
def test_a_square_is_resized_as_pillow_does_it(resample):
    """Antialiased and rounded to 8 bits, like the image processors that the published networks come with."""
    pixels = np.random.default_rng(0).integers(0, 256, (50, 50, 3), np.uint8)
    expected = np.asarray(Image.fromarray(pixels).resize((16, 16), getattr(Image.Resampling, resample.upper())))
    image = preprocess(Picture.of(pixels), 1.0, Resize(16, resample))
    np.testing.assert_array_equal(image[0].transpose(1, 2, 0), expected.astype(np.float32) / 255)


def test_control_planes():
    planes = preprocess_control(Picture.of(np.repeat(np.repeat(LEFT_IS_RED, 2, 0), 2, 1)), 1.0, 12, 8)
    assert planes.shape == (1, 3, 12, 8) and planes.dtype == np.float32
    assert planes[0, :, 0, 0].tolist() == [1, -1, -1] and planes[0, :, 0, 7].tolist() == [-1, -1, 1]
    assert preprocess_control(Picture.of(LEFT_IS_RED), 1.0, 96, 64).shape == (1, 3, 96, 64)
    with pytest.raises(InputError, match="received 4 by 6 pixels; expected 96 by 64, or the same shape"):
        preprocess_control(Picture.of(LEFT_IS_RED), 1.0, 64, 96)
