"""Options out of range are refused when the request is made; `Request.load` reads files, the request itself reads none."""

import json
from dataclasses import fields
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from meshwright.runtime import InputError, Mesh, Picture, Request, read_picture
from meshwright.runtime.request_options import RequestOptions

PICTURE = Picture(np.zeros((2, 2, 3), np.uint8), "0" * 64)


def test_defaults_are_accepted():
    assert Request("a red chair") == Request("a red chair", seed=0, steps=None, guidance=None, faces=None, texture=None,
                                             texture_from=None, image=None, control=None, control_scale=None)


@pytest.mark.parametrize("options", [
    {"seed": 2**64 - 1}, {"steps": 1}, {"steps": 1000}, {"guidance": 0}, {"guidance": 100.0}, {"prior_steps": 5},
    {"prior_guidance": 1.5}, {"faces": 4}, {"faces": 1_000_000}, {"texture": 64}, {"texture": 8192},
    {"texture_from": "blend"}, {"control": PICTURE}, {"control": PICTURE, "control_scale": 10}, {"image": PICTURE},
], ids=str)
def test_limits_are_accepted(options):
    request = Request("a red chair", **options)
    assert {name: getattr(request, name) for name in options} == options


@pytest.mark.parametrize("options", [
    {"seed": -1}, {"seed": 2**64}, {"seed": 1.5}, {"seed": True}, {"seed": None}, {"steps": 0}, {"steps": -3},
    {"steps": 1001}, {"steps": 10**12}, {"steps": "8"}, {"prior_steps": 0}, {"guidance": float("nan")},
    {"guidance": float("inf")}, {"guidance": -0.1}, {"guidance": 101}, {"guidance": "3"}, {"guidance": 10**400},
    {"prior_guidance": float("nan")},
    {"faces": 3}, {"faces": 0}, {"faces": 10**9}, {"texture": 0}, {"texture": 1000}, {"texture": 16384}, {"texture": 512.0},
    {"texture_from": "air"}, {"texture_from": 3}, {"image": 5}, {"image": PICTURE.pixels}, {"control": b"\x89PNG"}, {"mesh": 5},
    {"control_scale": -0.1, "control": PICTURE}, {"control_scale": 10.1, "control": PICTURE}, {"control_scale": 1.0},
], ids=str)
def test_out_of_range(options):
    with pytest.raises(InputError, match=f"^{next(iter(options))} is "):
        Request("a red chair", **options)


@pytest.mark.parametrize("prompt", ["", "  ", "a\tb", None, 3])
def test_prompts_are_checked(prompt):
    with pytest.raises(InputError, match="prompt"):
        Request(prompt)


def test_a_picture_may_stand_for_the_prompt():
    assert Request(image=PICTURE).prompt == ""
    with pytest.raises(InputError, match="prompt"):
        Request()
    with pytest.raises(InputError, match="control character"):
        Request("a\tb", image=PICTURE)


def test_numbers_of_other_packages_become_pythons_own():
    """A result says them in JSON, which knows no others."""
    request = Request("a red chair", seed=np.uint64(2**64 - 1), steps=np.int32(3), guidance=np.float32(1.5), prior_guidance=Fraction(3, 2),
                      faces=np.int64(500), texture=np.int16(64), control=PICTURE, control_scale=np.float16(0.5))
    said = {name: getattr(request, name) for name in ("seed", "steps", "guidance", "prior_guidance", "faces", "texture", "control_scale")}
    assert json.loads(json.dumps(said)) == {"seed": 2**64 - 1, "steps": 3, "guidance": 1.5, "prior_guidance": 1.5, "faces": 500,
                                            "texture": 64, "control_scale": 0.5}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mug.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 8, 3), np.uint8)).save(path)
    return path


@pytest.mark.parametrize("kind", [lambda path: path, str], ids=["path", "str"])
def test_pictures_may_be_files(file, kind):
    read, path = read_picture(file), kind(file)
    request = Request.load(image=path, control=path, matte=path)
    assert request.image == request.control == request.matte_picture == read and request.matte == "auto"
    np.testing.assert_array_equal(request.image.pixels, read.pixels)
    assert Request.load(views={0: path, 90: PICTURE, 30.0: path}).views == ((90.0, PICTURE), (30.0, read))


@pytest.mark.parametrize(("options", "message"), [
    ({"image": "nowhere.png"}, "the picture nowhere.png cannot be read; received No such file"),
    ({"image": PICTURE, "control": "nowhere.png"}, "the picture nowhere.png cannot be read"),
    ({"views": {azimuth: "nowhere.png" for azimuth in range(7)}}, "too many pictures; received 7"),
    ({"views": {0: PICTURE, 90: "nowhere.png"}}, "the picture nowhere.png cannot be read"),
    ({"image": PICTURE, "matte": "nowhere.png"}, "unknown matte; received 'nowhere.png'; expected auto.*or a file that is there"),
    ({"image": PICTURE, "matte": "a\0b"}, "unknown matte"),
    ({"image": PICTURE, "matte": "."}, "the picture . cannot be read; received a folder"),
    ({"mesh": "nowhere.glb", "prompt": "a red chair"}, "the mesh nowhere.glb cannot be read"),
], ids=str)
def test_files_that_cannot_be_read(options, message):
    with pytest.raises(InputError, match=message):
        Request.load(**options)


def test_a_file_called_like_a_word_needs_its_folder(file, monkeypatch):
    monkeypatch.chdir(file.parent)
    file.rename("none")
    assert Request.load(image=PICTURE, matte="none").matte == "none"
    assert Request.load(image=PICTURE, matte="./none").matte_picture == read_picture("none")


@pytest.mark.parametrize("options", [{"image": "mug.png"}, {"control": "mug.png"}, {"matte_picture": "mug.png"}, {"mesh": "mug.glb"},
                                     {"views": ((0.0, "mug.png"),)}, {"matte": "mug.png"}], ids=str)
def test_a_request_itself_reads_no_files(options, file, monkeypatch):
    monkeypatch.chdir(file.parent)
    with pytest.raises(InputError, match="Request.load"):
        Request("a red mug", **{"image": PICTURE, **options})


def test_what_is_loaded_has_one_type():
    mesh = Mesh(np.float32([[0, 0, 0], [1, 0, 0], [0, 1, 0]]), np.int32([[0, 1, 2]]))
    assert Request.load("a red chair", mesh=mesh).mesh.mesh is mesh
    matted = Request.load(image=PICTURE, matte=PICTURE)
    assert matted.matte == "auto" and matted.matte_picture is PICTURE
    with pytest.raises(InputError, match="two mattes are given; received a picture, and 'none'"):
        Request(image=PICTURE, matte="none", matte_picture=PICTURE)
    with pytest.raises(InputError, match="unknown option; received matte_picture, stepps; expected seed, geometry_seed"):
        Request.load(image=PICTURE, matte_picture=PICTURE, stepps=3)


def test_every_field_may_be_given():
    """And nothing else but the prompt: the matte as a picture is given as `matte`."""
    assert RequestOptions.__annotations__.keys() == {field.name for field in fields(Request)} - {"prompt", "matte_picture"}
