import json
import struct

import numpy as np
import pytest

from meshwright.runtime.assets.asset import make_asset
from meshwright.runtime.assets.lint import lint, worst
from meshwright.runtime.assets.options import AssetOptions
from meshwright.runtime.assets.surface_maps import normal_map, occlusion_map, tangents
from meshwright.runtime.geometry.mesh import Mesh
from meshwright.runtime.texture.unwrap import unwrap
from tests.runtime.shapes import box, joined, letter_f, sphere

# A square that faces +x; the picture's right is +y and its top is +z.
CORNERS = np.array([[0, -1, -1], [0, 1, -1], [0, 1, 1], [0, -1, 1]], np.float32)
UVS = np.array([[0.1, 0.9], [0.9, 0.9], [0.9, 0.1], [0.1, 0.1]], np.float32)
FACES = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
SQUARE = Mesh(CORNERS, FACES, uvs=UVS).with_normals()


def test_the_tangent_follows_u_and_the_bitangent_points_up_in_the_picture():
    assert tangents(SQUARE) == pytest.approx(np.tile([0, 1, 0, 1], (4, 1)))
    mirrored = SQUARE.replace(uvs=UVS * [-1, 1] + [1, 0])
    assert tangents(mirrored.replace(uvs=mirrored.uvs.astype(np.float32))) == pytest.approx(np.tile([0, -1, 0, -1], (4, 1)))


@pytest.mark.parametrize(("right", "up"), [(0, 0), (20, 0), (0, 20), (-10, 30)])
def test_a_slope_becomes_its_normal_in_red_and_green(right, up):
    slope = np.tan(np.radians([right, up]))
    dense = Mesh(np.concatenate([-0.01 * CORNERS[:, 1:] @ slope[:, None], 0.01 * CORNERS[:, 1:]], axis=1).astype(np.float32), FACES)
    light = SQUARE.replace(vertices=CORNERS * np.float32(0.01))
    colors = normal_map(light, tangents(light), dense, 64)[32, 32] / 255 * 2 - 1
    expected = np.array([slope[0], slope[1], 1]) / np.linalg.norm([slope[0], slope[1], 1])
    assert colors == pytest.approx(expected, abs=0.01)


def test_the_normals_of_the_dense_surface_come_back():
    """A shader that follows glTF sees the dense sphere's normals on a light one."""
    from meshwright.runtime.texture.atlas import make_atlas

    dense, light = sphere(0.6, 5), unwrap(sphere(0.6, 2).with_normals(), 256).mesh
    along = tangents(light)
    colors = normal_map(light, along, dense, 256).reshape(-1, 3) / 255 * 2 - 1
    atlas = make_atlas(light, 256)
    rows = light.faces[atlas.face]
    tangent = np.einsum("kc,kcj->kj", atlas.weights, along[rows, :3])
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    across = np.cross(atlas.normal, tangent) * along[rows[:, 0], 3:]
    local = colors[atlas.texel]
    seen = local[:, :1] * tangent + local[:, 1:2] * across + local[:, 2:] * atlas.normal
    seen /= np.linalg.norm(seen, axis=1, keepdims=True)
    true = atlas.position / np.linalg.norm(atlas.position, axis=1, keepdims=True)
    degrees = np.degrees(np.arccos(np.clip((seen * true).sum(axis=1), -1, 1)))
    assert np.median(degrees) < 1 and degrees.max() < 6
    assert (np.einsum("kj,kj->k", along[:, :3], light.normals) == pytest.approx(0, abs=1e-5))


def test_light_reaches_a_box_and_not_the_gap_between_two():
    one = unwrap(box().with_normals(), 64).mesh
    assert occlusion_map(one, box(), 64).min() == 255
    near = joined(box(), box(center=(1.05, 0, 0)))  # a gap of 0.05 beside the face that looks to +x
    light = unwrap(near.with_normals(), 64).mesh
    found = occlusion_map(light, near, 64)
    assert found.min() < 40 and np.median(found) > 150


def test_all_of_it_is_in_the_file(tmp_path, validate):
    options = AssetOptions(faces=200, texture=128, lods=(0.5,), normal_map=True, occlusion=True)
    made = make_asset(letter_f(detail=6), letter_f(detail=6), options)
    for number, path in enumerate(made.save(tmp_path / "letter.glb")):
        data = path.read_bytes()
        root = json.loads(data[20:20 + struct.unpack_from("<I", data, 12)[0]])
        assert set(root["materials"][0]) >= {"normalTexture", "occlusionTexture"}
        assert set(root["meshes"][0]["primitives"][0]["attributes"]) == {"POSITION", "NORMAL", "TANGENT", "TEXCOORD_0"}
        level = made.levels[number]
        assert len(level.normal_map) == 128 and level.tangents.shape == (len(level.mesh.vertices), 4)
        validate(data)
        assert worst(lint(path)) in ("ok", "note")
