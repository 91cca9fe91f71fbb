"""Levels of detail, scale and pivot, and the files of an asset."""

import json
import struct
from dataclasses import replace

import numpy as np
import pytest

from meshwright.engines.errors import InputError, OutputError
from meshwright.runtime.assets.asset import asset_files, make_asset, steps
from meshwright.runtime.assets.options import AssetOptions, levels
from meshwright.runtime.assets.placing import known_size, placed
from meshwright.runtime.assets.presets import PRESETS
from meshwright.runtime.files.reader import Placement, read_mesh
from meshwright.runtime.geometry.cameras import orbit
from meshwright.runtime.geometry.render import render_views
from tests.runtime.shapes import letter_f, position_colors, sphere

LETTER = letter_f(detail=6)
COLORED = LETTER.replace(colors=(position_colors(LETTER.vertices) * 255).astype(np.uint8))
BALL = sphere(0.6, 4)


def document(data: bytes) -> dict:
    return json.loads(data[20:20 + struct.unpack_from("<I", data, 12)[0]])


def outline(mesh):
    """(4, 256, 256) bool: where it is seen from four sides."""
    black = mesh.replace(texture=None, colors=np.zeros(mesh.vertices.shape, np.uint8))
    return render_views(black, orbit((30.0, 120.0, 210.0, 300.0), (20.0, -10.0, 60.0, 20.0)), 256, shaded=False)[..., 0] < 0.5


@pytest.fixture(scope="module")
def asset():
    """The letter with two further levels and a hull, 3 m high, named for Unity."""
    options = AssetOptions(texture=256, lods=(0.5, 0.125), collision="hull", height=3.0, origin="bottom", naming="unity")
    return make_asset(LETTER, COLORED, options, made_for="unity", extras={"seed": 7})


def test_levels_stay_closed_and_keep_the_colours_of_their_places(asset):
    assert [level.watertight for level in asset.levels] == [True] * 3
    assert [len(level.mesh.texture) for level in asset.levels] == [256, 256, 128]
    counts = [len(level.mesh.faces) for level in asset.levels]
    assert counts[0] == len(LETTER.faces) and counts[1] <= counts[0] / 2 and counts[2] <= counts[0] / 8
    cameras = orbit((20.0, 200.0), (20.0, 20.0))
    whole = render_views(COLORED, cameras, 128, shaded=False)
    for level in asset.levels:
        assert np.abs(render_views(level.mesh, cameras, 128, shaded=False) - whole).mean() < 0.01
        assert level.largest_error < 0.01  # the letter is made of planes


@pytest.mark.slow
def test_silhouettes_of_a_curved_surface():
    ball = make_asset(BALL, BALL, AssetOptions(lods=(0.5, 0.125)))
    whole = outline(BALL)
    for level, least in zip(ball.levels, (1.0, 0.98, 0.95), strict=True):
        seen = outline(level.mesh)
        assert ((seen & whole).sum((1, 2)) / (seen | whole).sum((1, 2))).min() >= least
    errors = [level.largest_error for level in ball.levels]
    assert errors[0] < 1e-4 < errors[1] < errors[2] < 0.03


def test_the_file_of_unity_has_all_levels_below_one_node(asset, tmp_path, validate):
    path = tmp_path / "letter.glb"
    assert asset.save(path) == [path, tmp_path / "letter_collision.glb"] == asset_files(path, asset.options)
    root = document(path.read_bytes())
    assert [node["name"] for node in root["nodes"]] == ["letter_LOD0", "letter_LOD1", "letter_LOD2", "letter"]
    assert root["nodes"][3]["children"] == [0, 1, 2] and root["scenes"][0]["nodes"] == [3]
    assert len(root["images"]) == len(root["materials"]) == 3
    extras = root["asset"]["extras"]
    assert extras["seed"] == 7 and extras["asset"]["for"] == "unity" and extras["asset"]["size"][1] == pytest.approx(3.0)
    hulls = document((tmp_path / "letter_collision.glb").read_bytes())
    assert [node["name"] for node in hulls["nodes"]] == ["letter_hull_00"] and "materials" not in hulls
    validate(path.read_bytes())
    validate((tmp_path / "letter_collision.glb").read_bytes())


def test_scale_and_pivot_are_in_the_vertices(asset, tmp_path):
    asset.save(tmp_path / "letter.glb")
    root = document((tmp_path / "letter.glb").read_bytes())
    low, high = (np.array([root["accessors"][0][which]]) for which in ("min", "max"))
    # The letter is 0.4 wide, 1 high and 0.2 deep.
    assert np.allclose(low, [[-0.6, 0, -0.3]], atol=1e-5) and np.allclose(high, [[0.6, 3, 0.3]], atol=1e-5)
    assert all("translation" not in node and "scale" not in node for node in root["nodes"])


@pytest.mark.parametrize(("naming", "files"), [
    ("plain", {"f_LOD0.glb": ["f_LOD0"], "f_LOD1.glb": ["f_LOD1"], "f_collision.glb": ["f_box_00"]}),
    ("unreal", {"f_LOD0.glb": ["f", "UBX_f_00"], "f_LOD1.glb": ["f"]}),
    ("godot", {"f_LOD0.glb": ["f", "f_box_00-convcolonly"], "f_LOD1.glb": ["f"]}),
])
def test_names_of_files_and_nodes(naming, files, tmp_path):
    made = make_asset(LETTER, LETTER, AssetOptions(lods=(0.5,), collision="box", naming=naming))
    written = made.save(tmp_path / "f.glb")
    assert {path.name: [node["name"] for node in document(path.read_bytes())["nodes"]] for path in written} == files


def test_one_level_without_shapes_is_one_file_of_any_kind(tmp_path):
    made = make_asset(LETTER, COLORED, AssetOptions(faces=200, texture=64, depth=0.5))
    assert [path.name for path in made.save(tmp_path / "f.obj")] == ["f.obj", "f.mtl", "f_color.png"]
    found = read_mesh(tmp_path / "f.obj")
    assert len(found.mesh.faces) <= 200
    assert np.ptp(found.placement.restored(found.mesh).bounds, axis=0) == pytest.approx([0.5, 1.0, 2.5], rel=1e-4)
    for options in (PRESETS["unreal"], AssetOptions(texture_format="jpeg"), AssetOptions(collision="box")):
        with pytest.raises(InputError, match=r"cannot hold .* \.glb"):
            asset_files(tmp_path / "f.obj", options)


def test_a_file_that_was_read_is_not_replaced(asset, tmp_path):
    (tmp_path / "letter_collision.glb").write_bytes(b"kept")
    with pytest.raises(OutputError, match="would be overwritten"):
        replace(asset, sources=(tmp_path / "letter_collision.glb",)).save(tmp_path / "letter.glb")
    assert [path.name for path in tmp_path.iterdir()] == ["letter_collision.glb"]


def test_placing():
    bounds = np.array([[-1, -2, 1], [3, 2, 3]], np.float32)  # depth 4, width 4, height 2
    assert placed(bounds, Placement((1, 2, 3), 2.0), None, "keep") == Placement((1, 2, 3), 2.0)
    assert placed(bounds, Placement((1, 2, 3), 2.0), ("height", 2.0), "keep") == Placement((0.5, 1, 1.5), 1.0)
    assert placed(bounds, Placement(), ("width", 1.0), "bottom") == Placement((-0.25, 0, -0.25), 0.25)
    assert placed(bounds, Placement(), None, "center") == Placement((-1, 0, -2), 1.0)


def test_the_size_of_the_thing_that_a_prompt_names():
    sizes = {"chair": ("height", 0.9), "high chair": ("height", 1.0), "car": ("depth", 4.2)}
    assert known_size(sizes, "a red Chair with white legs") == ("height", 0.9)
    assert known_size(sizes, "a high chair, beside cars") == ("height", 1.0)
    assert known_size(sizes, "two cars") == ("depth", 4.2)
    assert known_size(sizes, "a carpet") is known_size(sizes, "") is None


def test_what_lods_says():
    assert levels("4") == (0.5, 0.25, 0.125) and levels("1") == () and levels("0.5,0.1") == (0.5, 0.1)
    assert steps(AssetOptions(lods=(0.5,), collision="box")) == ("level 0", "level 1", "collision")


@pytest.mark.parametrize("options", [
    {"lods": (0.5, 0.5)}, {"lods": (1.5,)}, {"lods": tuple(0.5**k for k in range(1, 9))}, {"collision": "mesh"}, {"max_hulls": 0},
    {"height": 1.0, "width": 2.0}, {"height": -1.0}, {"depth": float("nan")}, {"origin": "top"}, {"naming": "maya"}, {"texture": 1000},
    {"faces": 3}, {"texture_format": "tga"}, {"compress": "zip"},
])
def test_options_out_of_range(options):
    with pytest.raises(InputError):
        AssetOptions(**options)


@pytest.mark.parametrize("text", ["0", "x", "0.5,x", "0.2,0.4", "9"])
def test_levels_out_of_range(text):
    with pytest.raises(InputError):
        AssetOptions(lods=levels(text) if text != "0" else (0.0,))
