"""Pictures: what is read, what is refused, and how they are laid out for a network."""

import warnings

import numpy as np
import pytest
from PIL import Image

from meshwright.runtime import InputError, Picture, read_picture
from meshwright.runtime.manifest import Resize
from meshwright.runtime.pictures import control_planes, prepared

LEFT_IS_RED = np.full((6, 4, 3), (0, 0, 255), np.uint8)
LEFT_IS_RED[:, :2] = (255, 0, 0)
UPRIGHT_FROM_RIGHT = 6  # the EXIF orientation of a camera that was held on its right side


@pytest.mark.parametrize(("name", "options"), [("a.png", {}), ("a.webp", {"lossless": True}), ("A.JPG", {"quality": 100})])
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


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"<svg xmlns='x'/>", b"RIFF\0\0\0\0WEBP"])
def test_files_that_are_no_pictures(tmp_path, data):
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(InputError, match=f"a.png is no picture that can be read; received {len(data)} bytes.*whole PNG, JPEG, WebP, BMP or GIF"):
        read_picture(tmp_path / "a.png")


def test_damaged_files_are_refused_or_read_but_never_crash(tmp_path):
    """Nothing is printed or warned either: warnings are errors here."""
    path, random = tmp_path / "a.png", np.random.default_rng(0)
    Image.fromarray(random.integers(0, 256, (20, 20, 3), np.uint8)).save(path)
    whole, refused = path.read_bytes(), 0
    for _ in range(200):
        data = bytearray(whole)
        data[random.integers(len(data))] ^= 1 << random.integers(8)
        path.write_bytes(data[:random.integers(1, len(data))] if random.random() < 0.3 else data)
        try:
            read_picture(path)
        except InputError:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize(("name", "received"), [(".", "Is a directory"), ("none.png", "No such file"), ("a\0b", "null byte")])
def test_files_that_cannot_be_opened(tmp_path, name, received):
    with pytest.raises(InputError, match=f"cannot be read; received .*{received}"):
        read_picture(name if "\0" in name else tmp_path / name)


@pytest.mark.parametrize(("side", "fits"), [(14_142, True), (14_143, False)])
def test_200_megapixels_are_the_most(tmp_path, side, fits):
    """Refused from the header alone: the picture is cut off behind it."""
    path = tmp_path / "big.png"
    Image.new("1", (side, side)).save(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match="no picture that can be read" if fits else f"too large; received {side} by {side}.*at most 200"):
        read_picture(path)


def test_the_limit_of_pillow_is_left_as_it_was(tmp_path):
    Image.fromarray(LEFT_IS_RED).save(tmp_path / "a.png")
    before, filters = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
    read_picture(tmp_path / "a.png")
    assert before == Image.MAX_IMAGE_PIXELS > 0 and warnings.filters == filters


@pytest.mark.parametrize("array", [None, LEFT_IS_RED.astype(np.float32), LEFT_IS_RED[0], LEFT_IS_RED[..., :2], LEFT_IS_RED[:0]],
                         ids=["none", "float", "flat", "two-channels", "empty"])
def test_arrays_that_are_no_pictures(array):
    with pytest.raises(InputError, match="no picture"):
        Picture.of(array)


@pytest.mark.parametrize(("background", "grey"), [(1.0, 255), (127 / 255, 127), (0.0, 0)])
def test_alpha_is_laid_on_the_background(background, grey):
    pixels = np.full((4, 4, 4), 100, np.uint8)
    pixels[:2, :, 3], pixels[2:, :, 3] = 0, 255
    image = prepared(Picture.of(pixels), background, Resize(4, "bicubic"))
    assert image.shape == (1, 3, 4, 4) and image.dtype == np.float32
    np.testing.assert_array_equal(np.unique(image[0, :, 0] * 255), [grey])
    np.testing.assert_array_equal(np.unique(image[0, :, 3] * 255), [100])


def test_half_transparent_pixels_are_mixed():
    image = prepared(Picture.of(np.array([[[200, 100, 0, 51]]], np.uint8)), 1.0, Resize(1, "bilinear"))
    np.testing.assert_allclose(image.ravel() * 255, [244, 224, 204], atol=1)  # a fifth of the colour, four of white


@pytest.mark.parametrize(("shape", "inside"), [((8, 4), np.s_[:, 4:12]), ((4, 8), np.s_[4:12, :])])
def test_padded_to_a_square_in_the_middle(shape, inside):
    image = prepared(Picture.of(np.zeros((*shape, 3), np.uint8)), 1.0, Resize(16, "bilinear"))[0, 0]
    padded = np.ones((16, 16))
    padded[inside] = 0
    np.testing.assert_array_equal(image, padded)


def test_a_long_thin_picture_needs_little_memory():
    image = prepared(Picture.of(np.zeros((1, 1_000_000, 3), np.uint8)), 1.0, Resize(32, "bicubic"))
    assert image.shape == (1, 3, 32, 32) and (image == 0).sum() == 3 * 32


@pytest.mark.parametrize("resample", ["bicubic", "bilinear"])
def test_a_square_is_resized_as_pillow_does_it(resample):
    """Antialiased and rounded to 8 bits, like the image processors that the published networks come with."""
    pixels = np.random.default_rng(0).integers(0, 256, (50, 50, 3), np.uint8)
    expected = np.asarray(Image.fromarray(pixels).resize((16, 16), getattr(Image.Resampling, resample.upper())))
    image = prepared(Picture.of(pixels), 1.0, Resize(16, resample))
    np.testing.assert_array_equal(image[0].transpose(1, 2, 0), expected.astype(np.float32) / 255)


def test_control_planes():
    planes = control_planes(Picture.of(np.repeat(np.repeat(LEFT_IS_RED, 2, 0), 2, 1)), 1.0, 12, 8)
    assert planes.shape == (1, 3, 12, 8) and planes.dtype == np.float32
    assert planes[0, :, 0, 0].tolist() == [1, -1, -1] and planes[0, :, 0, 7].tolist() == [-1, -1, 1]
    assert control_planes(Picture.of(LEFT_IS_RED), 1.0, 96, 64).shape == (1, 3, 96, 64)
    with pytest.raises(InputError, match="received 4 by 6 pixels; expected 96 by 64, or the same shape"):
        control_planes(Picture.of(LEFT_IS_RED), 1.0, 64, 96)
