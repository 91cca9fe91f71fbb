"""Which way the object is found, what is refused, and the real network on pictures with a known object."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from meshwright.engines.errors import InputError, ModelFileError
from meshwright.runtime.images import Matting, check_matte, crop_object
from meshwright.runtime.images import matting as network
from meshwright.runtime.images.matting import MAX_SIDE
from meshwright.runtime.images.pictures import Picture

Y, X = np.mgrid[:120, :160]
BALL = (Y - 60) ** 2 + (X - 90) ** 2 < 35**2


@pytest.fixture(scope="module")
def matting():
    with Matting(threads=1) as opened:
        yield opened


def photo(channels=3):
    """A shaded red ball in front of a grey wall with a little noise; alpha, if any, is opaque."""
    light = 1 - ((Y - 45) ** 2 + (X - 75) ** 2) / 6000
    noise = np.random.default_rng(0).normal(0, 3, (120, 160, 1))
    pixels = np.where(BALL[..., None], light[..., None] * (220, 40, 30), (150, 155, 160)) + noise
    pixels = np.dstack([pixels, np.full(BALL.shape, 255.0)]).clip(0, 255).astype(np.uint8)
    return Picture.of(pixels[..., :channels].copy())


def with_alpha(alpha):
    pixels = photo(4).pixels.copy()
    pixels[..., 3] = alpha
    return Picture.of(pixels)


def iou(matte, mask=BALL):
    seen = matte >= 128
    return (seen & mask).sum() / (seen | mask).sum()


def test_the_network_finds_the_object(matting):
    found = matting.foreground(photo())
    assert found.source == "network" and found.seconds > 0
    assert found.matte.shape == (120, 160) and found.matte.dtype == np.uint8 and iou(found.matte) > 0.95
    np.testing.assert_array_equal(found.rgba[..., :3], photo().pixels)
    np.testing.assert_array_equal(found.rgba[..., 3], found.matte)
    assert abs(crop_object(found).width - 70 / 0.85) <= 5


def test_the_same_picture_has_the_same_matte(matting):
    np.testing.assert_array_equal(matting.foreground(photo()).matte, matting.foreground(photo()).matte)


def test_a_real_matte_is_trusted():
    found = Matting().foreground(with_alpha(np.where(BALL, 200, 7)))
    assert found.source == "alpha" and set(np.unique(found.matte)) == {7, 200}


@pytest.mark.parametrize("alpha", [
    255, 254, np.where((Y < 9) & (X < 9), 0, 255), np.where((Y > 9) & (Y < 19) & (X > 9) & (X < 99), 0, 255)], ids=[
    "opaque", "nearly-opaque", "a-corner", "a-window"])
def test_alpha_that_is_no_matte_is_not(matting, alpha):
    found = matting.foreground(with_alpha(alpha))
    assert found.source == "network" and iou(found.matte) > 0.95


def test_alpha_in_any_case():
    assert Matting().foreground(with_alpha(254), "alpha").matte.min() == 254
    with pytest.raises(InputError, match="the picture has no alpha; received matte alpha; expected auto, none, or the file of a matte"):
        Matting().foreground(photo(), "alpha")


@pytest.mark.parametrize("picture", [photo(), with_alpha(np.where(BALL, 200, 7))], ids=["rgb", "rgba"])
def test_as_it_is(picture):
    found = Matting().foreground(picture, "none")
    assert found.source == "none"
    np.testing.assert_array_equal(found.rgba[..., :picture.pixels.shape[2]], picture.pixels)
    np.testing.assert_array_equal(crop_object(found).pixels, found.rgba)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_matte_of_ones_own(channels):
    """Grey, coloured, or in the alpha of a picture; half as large as the picture it is for."""
    small = np.where(BALL[::2, ::2], 255, 0).astype(np.uint8)
    white = np.full_like(small, 255)
    planes = {1: [small] * 3, 3: [small, small, small], 4: [white, white, white, small]}[channels]
    found = Matting().foreground(photo(), Picture.of(np.dstack(planes)))
    assert found.source == "file" and found.matte.shape == (120, 160) and iou(found.matte) > 0.95


@pytest.mark.parametrize(("picture", "matte", "message"), [
    (photo(), "magic", "unknown matte; received 'magic'; expected auto, alpha, none, or a picture"),
    (photo(), Picture.of(np.full((120, 120, 3), 255, np.uint8)),
     "does not fit over the picture; received 120 by 120 pixels; expected 160 by 120"),
    (photo(), Picture.of(np.zeros((120, 160, 3), np.uint8)), "no foreground; received a matte that is black nearly everywhere"),
    (with_alpha(0), "auto", "no foreground; received a picture that is transparent nearly everywhere"),
    (with_alpha(0), "alpha", "no foreground; received a picture that is transparent nearly everywhere"),
    (Picture.of(np.full((50, 50, 3), 77, np.uint8)), "auto", "no foreground; received a picture that is all one colour"),
    (Picture.of(np.zeros((1, 1, 3), np.uint8)), "auto", "too small; received 1 by 1 pixels; expected at least 8 by 8"),
    (Picture.of(np.zeros((10_000, 1, 3), np.uint8)), "none", "too small; received 1 by 10000 pixels"),
], ids=["unknown", "shape", "black", "clear", "clear-alpha", "one-colour", "one-pixel", "line"])
def test_refused(matting, picture, matte, message):
    with pytest.raises(InputError, match=message):
        matting.foreground(picture, matte)


def test_check_matte():
    for known in ("auto", "alpha", "none", photo()):
        check_matte(known)
    for unknown in (None, "", "AUTO", 3, ["auto"]):
        with pytest.raises(InputError, match="unknown matte"):
            check_matte(unknown)


def test_a_picture_in_which_nothing_stands_out(matting):
    """The network, asked for a mist of grey noise, is sure of nothing."""
    mist = np.random.default_rng(1).normal(128, 4, (200, 200, 1)).repeat(3, 2).clip(0, 255).astype(np.uint8)
    with pytest.raises(InputError, match="no foreground; received a picture without a salient object.*--matte FILE"):
        matting.foreground(Picture.of(mist))


def test_a_large_picture_is_made_smaller():
    pixels = np.zeros((100, 4 * MAX_SIDE, 4), np.uint8)
    pixels[20:80, 1000:5000] = (10, 200, 30, 255)
    found = Matting().foreground(Picture.of(pixels))
    assert found.rgba.shape == (25, MAX_SIDE, 4)
    assert (found.rgba[8:17, 300:1200] == (10, 200, 30, 255)).all()


def test_a_closed_one_opens_again():
    matting = Matting(threads=1)
    first = matting.foreground(photo()).matte
    matting.close()
    np.testing.assert_array_equal(matting.foreground(photo()).matte, first)
    matting.close()
    matting.close()


def test_the_file_is_the_one_that_was_chosen():
    """4.6 MB, as the authors' licence and the note beside it say."""
    data = network.FILE.read_bytes()
    assert hashlib.sha256(data).hexdigest() == network.SHA256 and len(data) == 4_574_861
    note = network.FILE.with_suffix(".md").read_text()
    assert network.SHA256 in note and "4,574,861 bytes" in note
    licence = network.FILE.with_suffix(".LICENSE").read_text()
    assert "Apache License" in licence and "Copyright (c) 2020 Daniel Gatis" in licence


@pytest.mark.parametrize("spoil", ["missing", "altered"])
def test_another_file_is_not_used(tmp_path, monkeypatch, spoil):
    path = Path(tmp_path, "u2netp.onnx")
    if spoil == "altered":
        path.write_bytes(network.FILE.read_bytes()[:-1] + b"\0")
    monkeypatch.setattr(network, "FILE", path)
    with pytest.raises(ModelFileError, match=f"{'has been modified' if spoil == 'altered' else 'cannot be read'}.*reinstall meshwright"):
        Matting().foreground(photo())
