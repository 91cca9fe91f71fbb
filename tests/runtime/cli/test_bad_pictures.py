"""Pictures that nothing can be made of: exit code 2, one line that says what is wrong, and no file. Odd ones that work."""

import io
import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.runtime.cli.test_bad_input import refused
from tests.runtime.tiny_pictures import build_instantmesh

QUICK = ("--texture", "64", "--faces", "500", "--threads", "1")
Y, X = np.mgrid[:80, :60]
BALL = (Y - 40) ** 2 + (X - 30) ** 2 < 20**2


@pytest.fixture(scope="session")
def pack(tmp_path_factory):
    """A tiny pack that takes a picture."""
    return build_instantmesh(tmp_path_factory.mktemp("packs") / "pictured")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A folder of pictures, most of them bad."""
    folder = tmp_path_factory.mktemp("pictures")
    save = {
        "ball.png": ball("RGB"), "cut.png": ball("RGBA"), "one.png": Image.new("RGB", (1, 1)), "line.png": Image.new("RGB", (1, 10_000)),
        "clear.png": Image.new("RGBA", (60, 80), (200, 0, 0, 0)), "plain.png": Image.new("RGB", (60, 80), (200, 0, 0)),
        "ball.jpg": ball("RGB"), "black.png": Image.new("L", (60, 80))}
    for name, image in save.items():
        image.save(folder / name)
    ball("RGB").save(folder / "moving.gif", save_all=True, append_images=[Image.new("RGB", (60, 80), "blue")])
    (folder / "text.png").write_text("a mug")
    (folder / "empty.png").write_bytes(b"")
    (folder / "half.jpg").write_bytes((folder / "ball.jpg").read_bytes()[:-400])
    (folder / "mug.svg").write_text("<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>")
    ball("RGB").save(folder / "mug.tif")
    (folder / "bomb.png").write_bytes(bomb(20_000, 20_000))
    return folder


def ball(mode):
    """A red ball in front of a grey wall."""
    light = np.where(BALL, 1 - ((Y - 30) ** 2 + (X - 22) ** 2) / 2500, 1)
    pixels = np.where(BALL[..., None], light[..., None] * (220, 40, 30), (150, 155, 160))
    pixels = np.dstack([pixels, np.where(BALL, 255, 0)]).astype(np.uint8)
    return Image.fromarray(pixels).convert(mode)


def bomb(width, height):
    """A whole PNG of a few hundred kilobytes: black."""
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = zlib.compressobj(9)
    data = b"".join(rows.compress(bytes((width + 7) // 8 + 1)) for _ in range(height)) + rows.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("picture", "message"), [
    ("text.png", "text.png is not a readable picture; received 5 bytes, not a known picture format"),
    ("empty.png", "empty.png is not a readable picture; received 0 bytes; expected a whole PNG"),
    ("half.jpg", "half.jpg is not a readable picture; received"),
    ("bomb.png", "bomb.png is too large; received 20000 by 20000 pixels; expected at most 200 megapixels"),
    ("one.png", "the picture is too small; received 1 by 1 pixels"),
    ("line.png", "the picture is too small; received 1 by 10000 pixels"),
    ("clear.png", "the picture has no foreground; received a picture that is transparent nearly everywhere"),
    ("plain.png", "the picture has no foreground; received a picture that is all one colour"),
    ("mug.svg", "mug.svg is not a readable picture; received an SVG drawing"),
    ("mug.tif", "mug.tif is not a readable picture; received a TIFF picture; expected a whole PNG, JPEG, WebP, BMP or GIF file;"
                " save it as a PNG or JPEG"),
    (".", "cannot be read; received a folder"),
    ("nowhere.png", "nowhere.png cannot be read; received No such file"),
])
def test_refused(main, pack, pictures, tmp_path, picture, message):
    ended = main("generate", "--image", pictures / picture, "--pack", pack, *QUICK, "-o", tmp_path / "c.glb",
                 "--keep-stages", tmp_path / "kept", "--preview", tmp_path / "c.png")
    refused(ended, message, tmp_path)


@pytest.mark.parametrize(("matte", "message"), [
    ("alpha", "the picture has no alpha"),
    ("magic", "unknown matte; received 'magic'; expected auto, alpha, none, or a file that is there"),
    ("black.png", "no foreground; received a matte that is black nearly everywhere"),
    ("one.png", "the matte does not fit over the picture; received 1 by 1 pixels; expected 60 by 80"),
])
def test_mattes_that_are_refused(main, pack, pictures, tmp_path, matte, message):
    matte = pictures / matte if matte.endswith("png") else matte
    ended = main("generate", "--image", pictures / "ball.png", "--matte", matte, "--pack", pack, *QUICK, "-o", tmp_path / "c.glb")
    refused(ended, message, tmp_path)


@pytest.mark.parametrize(("picture", "matte", "source"), [
    ("ball.png", "auto", "network"), ("cut.png", "auto", "alpha"), ("cut.png", "alpha", "alpha"), ("ball.png", "cut.png", "file")])
def test_the_matte_and_the_crop_are_kept(main, pack, pictures, tmp_path, picture, matte, source):
    """Whichever way the ball is found, it is 40 pixels wide and fills 0.85 of the crop."""
    matte = pictures / matte if matte.endswith("png") else matte
    ended = main("generate", "--image", pictures / picture, "--matte", matte, "--pack", pack, *QUICK, "-o", tmp_path / "c.glb",
                 "--keep-stages", tmp_path / "kept", "--quiet")
    assert ended.returncode == 0, ended.stderr
    with Image.open(tmp_path / "kept/matte.png") as saved, Image.open(tmp_path / "kept/crop.png") as crop:
        seen = np.asarray(saved.convert("L")) >= 128
        assert (seen & BALL).sum() / (seen | BALL).sum() > (0.9 if source == "network" else 0.99)
        assert crop.mode == "RGBA" and abs(crop.width - 39 / 0.85) <= 4 and crop.width == crop.height


def test_a_picture_as_it_is(main, pack, pictures, tmp_path):
    ended = main("generate", "--image", pictures / "ball.png", "--matte", "none", "--pack", pack, *QUICK, "-o", tmp_path / "c.glb",
                 "--keep-stages", tmp_path / "kept", "--quiet")
    assert ended.returncode == 0, ended.stderr
    with Image.open(tmp_path / "kept/crop.png") as crop:
        np.testing.assert_array_equal(np.asarray(crop.convert("RGB")), np.asarray(ball("RGB")))


def test_of_an_animation_the_first_frame(main, pack, pictures, tmp_path):
    ended = main("generate", "--image", pictures / "moving.gif", "--pack", pack, *QUICK, "-o", tmp_path / "c.glb")
    assert ended.returncode == 0 and "note: the picture is an animation; its first frame is used" in ended.stderr, ended.stderr


@pytest.mark.parametrize(("given", "message"), [("cut.png", None), ("text.png", "standard input is not a readable picture"),
                                                ("empty.png", "standard input is not a readable picture; received 0 bytes")])
def test_from_standard_input(pack, pictures, tmp_path, given, message):
    command = [sys.executable, "-m", "meshwright.runtime.cli.main", "generate", "--image", "-", "--pack", str(pack), *QUICK,
               "-o", str(tmp_path / "c.glb")]
    ended = subprocess.run(command, input=(pictures / given).read_bytes(), capture_output=True, timeout=60)
    ended = subprocess.CompletedProcess(command, ended.returncode, ended.stdout.decode(), ended.stderr.decode())
    if message is None:
        assert ended.returncode == 0 and os.listdir(tmp_path) == ["c.glb"], ended.stderr
    else:
        refused(ended, message, tmp_path)


def test_the_bomb_is_whole():
    """A small one of its kind is read: the large one is refused for its size alone."""
    with Image.open(io.BytesIO(bomb(64, 48))) as image:
        assert np.asarray(image.convert("L")).max() == 0 and image.size == (64, 48)
