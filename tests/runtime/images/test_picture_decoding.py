"""Pictures of phones, and settings that belong to the host."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from meshwright.runtime.images.picture_metadata import orientation
from meshwright.runtime.images.pictures import read_picture
from tests.runtime.images.test_pictures import LEFT_IS_RED


def test_a_phones_picture_is_one_picture(tmp_path):
    """A JPEG with a second one behind it (CIPA DC-007) is no animation."""
    whole = Image.fromarray(LEFT_IS_RED).resize((64, 96), Image.Resampling.NEAREST)
    whole.save(tmp_path / "a.jpg", "MPO", quality=100, save_all=True, append_images=[Image.new("RGB", (64, 96), "blue")])
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.format == "MPO" and image.n_frames == 2
    picture = read_picture(tmp_path / "a.jpg")
    assert picture.notices == () and picture.pixels.shape == (96, 64, 3)
    assert np.abs(picture.pixels[:, :24].mean((0, 1)) - (255, 0, 0)).max() < 4


@pytest.mark.parametrize("value", range(1, 9))
def test_every_way_up(tmp_path, value):
    """As Pillow turns them: the first row and the first column each go to another side."""
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = value
    pixels = np.random.default_rng(value).integers(0, 256, (5, 7, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png").pixels, expected)


@pytest.mark.parametrize(("exif", "xmp", "expected"), [
    (None, None, 1),
    (b"Exif\0\0II*\0\x08\0\0\0\1\0" + struct.pack("<HHIHH", 0x0112, 3, 1, 8, 0), None, 8),
    (b"MM\0*\0\0\0\x08\0\1" + struct.pack(">HHIHH", 0x0112, 3, 1, 3, 0), b'tiff:Orientation="6"', 3),
    (b"MM\0*\0\0\0\x08\0\1" + struct.pack(">HHII", 0x0112, 4, 1, 5), None, 5),
    (b"MM\0*\0\0\0\x08\0\1" + struct.pack(">HHIHH", 0x0112, 3, 1, 9, 0), None, 1),
    (b"MM\0*\0\0\0\x08\0\1" + struct.pack(">HHIHH", 0x0112, 2, 1, 6, 0), None, 1),
    (b"MM\0*\xff\xff\xff\xff", b"<tiff:Orientation>6</tiff:Orientation>", 6),
    (b"MM", None, 1), (b"", b"tiff:Orientation='x'", 1),
])
def test_what_says_which_way_is_up(exif, xmp, expected):
    assert orientation(exif, xmp) == expected


def test_warnings_of_pillow_stay_away(tmp_path):
    """Broken EXIF is nothing to warn about: warnings are errors here, and the picture is read."""
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "camera" * 10, 6
    Image.fromarray(LEFT_IS_RED).save(file, "JPEG", exif=exif)
    data = file.getvalue()
    at = data.index(b"camera")
    (tmp_path / "a.jpg").write_bytes(data[:at - 20] + b"\xff" * 8 + data[at - 12:])
    assert read_picture(tmp_path / "a.jpg").notices == ()
