"""Colours of ICC profiles become sRGB; pictures that are sRGB already keep every value."""

import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from meshwright.runtime.images.pictures import picture_of, read_picture
from tests.runtime.icc_profiles import P3_PRIMARIES, SRGB_PRIMARIES, curve, grey_profile, ink_profile, rgb_profile, srgb_curve
from tests.runtime.images.test_pictures import chunk

NOISE = np.random.default_rng(0).integers(0, 256, (20, 30, 4), np.uint8)
HP_PRIMARIES = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.7141))
LINEAR = curve(1.0)
# 128 / 255 in linear light is 0.502; sRGB writes that as 1.055 * 0.502 ** (1 / 2.4) - 0.055 = 0.737, or 188 of 255.
HALF, HALF_IN_SRGB = 128, 188


def read(tmp_path, image, kind="PNG", **options):
    path = tmp_path / f"a.{kind.lower()}"
    image.save(path, kind, **options)
    return read_picture(path)


def flat(mode, *color):
    return Image.new(mode, (8, 8), color if len(color) > 1 else color[0])


@pytest.mark.parametrize("profile", [
    rgb_profile(), rgb_profile(tone=srgb_curve(4096)), rgb_profile(HP_PRIMARIES),
    ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), grey_profile(srgb_curve())],
    ids=["matrix", "finer curve", "other digits", "LittleCMS", "grey"])
def test_srgb_by_any_name_keeps_every_value(tmp_path, profile):
    modes = ["L"] if profile[16:20] == b"GRAY" else ["RGB", "RGBA", "L", "P"]
    for mode in modes:
        image = Image.fromarray(NOISE).convert("RGB").convert("L") if mode == "L" else Image.fromarray(NOISE).convert(mode)
        tagged, plain = read(tmp_path, image, icc_profile=profile), read(tmp_path, image)
        np.testing.assert_array_equal(tagged.pixels, plain.pixels)
        assert tagged.notices == () and tagged != plain


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("JPEG", {"quality": 100}), ("WEBP", {"lossless": True})])
def test_linear_light(tmp_path, kind, options):
    picture = read(tmp_path, flat("RGB", 0, HALF, 255), kind, icc_profile=rgb_profile(tone=LINEAR), **options)
    assert np.abs(picture.pixels[4, 4].astype(int) - (0, HALF_IN_SRGB, 255)).max() <= 1
    assert picture.notices == ()


def test_channels_that_change_places(tmp_path):
    red, green, blue = SRGB_PRIMARIES
    picture = read(tmp_path, flat("RGB", 30, 200, 40), icc_profile=rgb_profile((green, red, blue)))
    assert np.abs(picture.pixels[4, 4].astype(int) - (200, 30, 40)).max() <= 1


def test_a_plain_exponent_is_not_srgb(tmp_path):
    """(10 / 255) ** 2.2 is 0.0008, which sRGB writes as 12.92 times that: 2.65 of 255."""
    picture = read(tmp_path, flat("RGB", 10, 10, 10), icc_profile=rgb_profile(tone=curve(2.2)))
    assert np.abs(picture.pixels[4, 4].astype(int) - 3).max() <= 1


def test_a_wide_gamut_is_cut_to_srgb(tmp_path):
    picture = read(tmp_path, flat("RGB", 255, 0, 0), icc_profile=rgb_profile(P3_PRIMARIES))
    assert picture.pixels[4, 4].tolist() == [255, 0, 0]
    grey = read(tmp_path, flat("RGB", 100, 100, 100), icc_profile=rgb_profile(P3_PRIMARIES))
    assert np.abs(grey.pixels[4, 4].astype(int) - 100).max() <= 1


def test_alpha_is_no_colour(tmp_path):
    picture = read(tmp_path, flat("RGBA", 0, HALF, 255, HALF), icc_profile=rgb_profile(tone=LINEAR))
    assert np.abs(picture.pixels[4, 4].astype(int) - (0, HALF_IN_SRGB, 255, HALF)).max() <= 1 and picture.pixels[4, 4, 3] == HALF


def test_a_palette_with_a_transparent_colour(tmp_path):
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 0, HALF, 255])
    image.putpixel((0, 0), 0)
    picture = read(tmp_path, image, icc_profile=rgb_profile(tone=LINEAR), transparency=0)
    assert picture.pixels[0, 0, 3] == 0
    assert np.abs(picture.pixels[4, 4].astype(int) - (0, HALF_IN_SRGB, 255, 255)).max() <= 1


@pytest.mark.parametrize("profile", [grey_profile(LINEAR), rgb_profile(tone=LINEAR)], ids=["grey", "rgb"])
@pytest.mark.parametrize("mode", ["L", "LA"])
def test_grey(tmp_path, profile, mode):
    """A grey picture with a profile for RGB is taken as grey of that profile."""
    picture = read(tmp_path, flat(mode, HALF) if mode == "L" else flat(mode, HALF, 77), icc_profile=profile)
    assert np.abs(picture.pixels[4, 4, :3].astype(int) - HALF_IN_SRGB).max() <= 1
    assert picture.pixels.shape[2] == len(mode) + 2 and (mode == "L" or picture.pixels[4, 4, 3] == 77)


def test_grey_of_sixteen_bits(tmp_path):
    picture = read(tmp_path, Image.fromarray(np.full((8, 8), 257 * HALF, np.uint16)), icc_profile=grey_profile(LINEAR))
    assert np.abs(picture.pixels[4, 4].astype(int) - HALF_IN_SRGB).max() <= 1


@pytest.mark.parametrize(("black", "grey"), [(0, 255), (255, 0), (128, 118)])
def test_inks(tmp_path, black, grey):
    """L* 49.8 is 0.1825 of white's light, which sRGB writes as 0.464: 118. Without the profile it would be 127."""
    picture = read(tmp_path, flat("CMYK", 0, 0, 0, black), "JPEG", quality=100, icc_profile=ink_profile())
    assert np.abs(picture.pixels[4, 4].astype(int) - grey).max() <= 2 and picture.notices == ()


@pytest.mark.parametrize(("image", "profile", "notice"), [
    (flat("RGB", 1, 2, 3), b"no profile", "colour profile is broken"),
    (flat("RGB", 1, 2, 3), rgb_profile()[:200], "colour profile is broken"),
    (flat("RGB", 1, 2, 3), b"", None),
    (flat("RGB", 1, 2, 3), grey_profile(LINEAR), "colour profile is for GRAY, the picture is RGB"),
    (flat("RGB", 1, 2, 3), ink_profile(), "colour profile is for CMYK, the picture is RGB"),
    (flat("RGB", 1, 2, 3), ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(), "colour profile is for Lab"),
], ids=["words", "cut off", "none", "grey", "inks", "Lab"])
def test_a_profile_that_is_of_no_use(tmp_path, image, profile, notice):
    picture = read(tmp_path, image, icc_profile=profile)
    assert picture.pixels[4, 4].tolist() == [1, 2, 3]
    assert picture.notices == () if notice is None else len(picture.notices) == 1 and notice in picture.notices[0]


def test_a_profile_that_cannot_be_unpacked(tmp_path):
    """One that is cut off, one with a method that is none, and one that unpacks to a gigabyte: the picture is read."""
    flat("RGB", 1, 2, 3).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    for body in (b"x\0\0" + zlib.compress(rgb_profile())[:50], b"x\0\1" + zlib.compress(rgb_profile()), b"x",
                 b"x\0\0" + zlib.compress(bytes(1 << 26), 9)):
        (tmp_path / "b.png").write_bytes(data[:33] + chunk(b"iCCP", body) + data[33:])
        picture = read_picture(tmp_path / "b.png")
        assert picture.pixels[4, 4].tolist() == [1, 2, 3] and "colour profile is broken" in picture.notices[0]


def test_other_statements_about_colours(tmp_path):
    """gAMA and cHRM are passed over, as in most viewers; cICP that is not sRGB is told."""
    flat("RGB", 1, 2, 3).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    for kind, body, notices in ((b"gAMA", (100_000).to_bytes(4, "big"), 0), (b"cHRM", bytes(32), 0), (b"sRGB", b"\0", 0),
                                (b"cICP", bytes((1, 13, 0, 1)), 0), (b"cICP", bytes((9, 16, 0, 1)), 1)):
        (tmp_path / "b.png").write_bytes(data[:33] + chunk(kind, body) + data[33:])
        picture = read_picture(tmp_path / "b.png")
        assert picture.pixels[4, 4].tolist() == [1, 2, 3] and len(picture.notices) == notices


def test_pictures_inside_a_glb_keep_their_values(tmp_path):
    """glTF 2.0, section 3.9.2: colour space information of a picture is to be ignored."""
    flat("RGB", 0, HALF, 255).save(tmp_path / "a.png", icc_profile=rgb_profile(tone=LINEAR))
    data = (tmp_path / "a.png").read_bytes()
    assert picture_of(data, "a texture").pixels[4, 4].tolist() == [0, HALF, 255]
    assert picture_of(data, "a picture", profile=True).pixels[4, 4].tolist() == read_picture(tmp_path / "a.png").pixels[4, 4].tolist()
