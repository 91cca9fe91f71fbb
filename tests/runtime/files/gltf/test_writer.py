import io
import json
import struct

import numpy as np
import pytest
import trimesh
from PIL import Image

from meshwright.engines.errors import OutputError
from meshwright.runtime.files.gltf.writer import glb_bytes, linear_rgba
from meshwright.runtime.geometry.cameras import orbit
from meshwright.runtime.geometry.creases import split_at_creases
from meshwright.runtime.geometry.decimate import decimate
from meshwright.runtime.geometry.mesh import Mesh
from meshwright.runtime.geometry.render import render_views
from meshwright.runtime.texture.atlas import make_atlas
from meshwright.runtime.texture.bake import Sight, bake_field, bake_views
from meshwright.runtime.texture.unwrap import unwrap
from tests.runtime.shapes import box, fill_unseen, letter_f, position_colors, sphere, to_texture

# Where a viewer in front of the letter F finds material and where not: (right, up) from its centre.
ON_THE_F = [(-0.1, 0.4), (0.1, 0.4), (-0.1, 0.0), (0.1, 0.0), (-0.1, -0.4)]
OFF_THE_F = [(0.1, -0.4), (0.1, 0.2), (0.1, -0.2)]


@pytest.fixture(scope="module", params=["field", "views"])
def letter(request):
    """The letter F, painted by place, through all the stages a generated mesh goes through."""
    dense = letter_f(detail=6)
    mesh = unwrap(split_at_creases(decimate(dense, 1200)), 256).mesh
    atlas = make_atlas(mesh, 256)
    if request.param == "field":
        baked = bake_field(atlas, position_colors)
    else:
        colored = dense.replace(colors=(position_colors(dense.vertices) * 255).astype(np.uint8))
        baked = bake_views(atlas, Sight.of(mesh, render_views(split_at_creases(colored), orbit(), 128), orbit()))
    return mesh.replace(texture=to_texture(atlas, fill_unseen(atlas, mesh, baked)))


def read_chunks(data):
    magic, version, length = struct.unpack_from("<4sII", data)
    assert (magic, version, length) == (b"glTF", 2, len(data))
    size, kind = struct.unpack_from("<I4s", data, 12)
    assert kind == b"JSON"
    return json.loads(data[20:20 + size]), data[20 + size + 8:]


def loaded(data):
    scene = trimesh.load(io.BytesIO(data), file_type="glb", process=False)
    return next(iter(scene.geometry.values()))


def seen_from_the_front(geometry, points):
    """For each (right, up): the face a viewer in front of a glTF asset sees there, looking along -Z, and where."""
    origins = np.array([(right, up, 5.0) for right, up in points])
    triangles = geometry.triangles
    found = []
    for origin in origins:
        corners = np.concatenate([triangles[..., :2], np.ones((*triangles.shape[:2], 1))], axis=2)
        weights = np.linalg.solve(
            corners.transpose(0, 2, 1)[geometry.face_normals[:, 2] > 0.1], np.array([[origin[0]], [origin[1]], [1.0]]))
        rows = np.flatnonzero(geometry.face_normals[:, 2] > 0.1)
        inside = (weights[..., 0] > -1e-9).all(axis=1)
        depth = (weights[..., 0] * triangles[rows, :, 2]).sum(axis=1)
        best = np.where(inside, depth, -np.inf).argmax() if inside.any() else None
        found.append(None if best is None else (rows[best], weights[best, :, 0]))
    return found


def texture_at(geometry, face, weights):
    image = np.asarray(geometry.visual.material.baseColorTexture.convert("RGB"))
    u, v = weights @ geometry.visual.uv[geometry.faces[face]]
    return image[int((1 - v) * len(image)), int(u * len(image))] / 255  # trimesh's v runs up


def test_the_validator_finds_nothing_in_a_textured_mesh(letter, validate):
    report = validate(glb_bytes(letter, {"seed": 7, "pack": "props"}))
    info = report["info"]
    assert info["totalTriangleCount"] == len(letter.faces) and info["hasTextures"]
    assert info["resources"][-1]["mimeType"] == "image/png" or len(info["resources"]) == 2


@pytest.mark.parametrize("mesh", [
    box(), sphere(), decimate(letter_f(detail=6), 300),
    sphere().replace(colors=(position_colors(sphere().vertices) * 255).astype(np.uint8)),
    split_at_creases(box((1e-3, 1e-3, 2.0))),
], ids=["plain", "smooth", "decimated", "vertex colours", "splinter"])
def test_the_validator_finds_nothing_in_other_meshes(mesh, validate):
    validate(glb_bytes(mesh))


def test_a_viewer_in_front_reads_an_f(letter):
    """Read back by trimesh: +Y up, front +Z, so right is +X; and the texture lies the right way round."""
    geometry = loaded(glb_bytes(letter))
    assert geometry.bounds == pytest.approx(np.array([[-0.2, -0.5, -0.1], [0.2, 0.5, 0.1]]), abs=0.01)
    assert all(hit is None for hit in seen_from_the_front(geometry, OFF_THE_F))
    for (right, up), hit in zip(ON_THE_F, seen_from_the_front(geometry, ON_THE_F), strict=True):
        expected = position_colors([[0.1, right, up]])[0]  # red to the left, green up, blue in front
        assert texture_at(geometry, *hit) == pytest.approx(expected, abs=0.04)


def test_every_face_has_the_colour_of_its_place(letter):
    geometry = loaded(glb_bytes(letter))
    x, y, z = geometry.triangles_center.T
    expected = 0.5 + 0.45 * np.stack([-x, y, z], 1) / 0.6
    third = np.full(3, 1 / 3)
    actual = np.array([texture_at(geometry, face, third) for face in range(len(geometry.faces))])
    visible = geometry.face_normals[:, 1] > -0.5  # the six views see the undersides at a flat angle only
    assert np.abs(actual - expected)[visible].mean() < 0.02
    assert geometry.volume > 0


def test_metres_and_axes():
    point = Mesh(np.array([[1, 2, 3], [1, 2, 4], [1, 3, 3]], np.float32), np.array([[0, 2, 1]], np.int32))
    geometry = loaded(glb_bytes(point, metres_per_unit=2.0))
    assert geometry.vertices[0].tolist() == [4.0, 6.0, 2.0]
    assert geometry.vertex_normals[0] == pytest.approx([0, 0, 1])


def test_extras_are_kept_and_bytes_repeat(letter):
    extras = {"seed": 7, "prompt": "caf\u00e9 \ud83d", "timings": {"unwrap": 0.25}, "notes": ["a", None]}
    data = glb_bytes(letter, extras)
    assert read_chunks(data)[0]["asset"]["extras"] == extras
    assert data == glb_bytes(letter, extras)
    assert "extras" not in read_chunks(glb_bytes(letter))[0]["asset"]


def test_the_material_is_matt_and_the_texture_a_png(letter):
    document, binary = read_chunks(glb_bytes(letter))
    material = document["materials"][0]["pbrMetallicRoughness"]
    assert (material["metallicFactor"], material["roughnessFactor"]) == (0.0, 0.9)
    view = document["bufferViews"][document["images"][0]["bufferView"]]
    png = binary[view["byteOffset"]:view["byteOffset"] + view["byteLength"]]
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png))), letter.texture)


@pytest.mark.parametrize(("count", "kind"), [(65_535, 5123), (65_536, 5125)])
def test_indices_are_as_short_as_they_can_be(count, kind):
    vertices = np.random.default_rng(0).uniform(-1, 1, (count, 3)).astype(np.float32)
    faces = np.stack([np.arange(count), np.roll(np.arange(count), 1), np.roll(np.arange(count), 2)], 1)
    document = read_chunks(glb_bytes(Mesh(vertices, faces.astype(np.int32))))[0]
    indices = document["accessors"][document["meshes"][0]["primitives"][0]["indices"]]
    assert (indices["componentType"], indices["count"]) == (kind, count * 3)


def test_vertex_colours_are_linear():
    colors = np.array([[0, 255, 188], [10, 128, 1]], np.uint8)
    linear = linear_rgba(colors) / 65535
    assert linear[0] == pytest.approx([0, 1, 0.5029, 1], abs=1e-4)
    assert linear[1] == pytest.approx([10 / 255 / 12.92, 0.2159, 1 / 255 / 12.92, 1], abs=1e-4)


@pytest.mark.parametrize(("mesh", "extras", "message"), [
    (Mesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32)), None, "no faces"),
    (box().replace(vertices=np.full((8, 3), np.nan, np.float32)), None, "not finite"),
    (box(), {"a": float("nan")}, "extras"), (box(), {"a": {1, 2}}, "extras"),
])
def test_what_cannot_be_written_is_refused(mesh, extras, message):
    with pytest.raises(OutputError, match=message):
        glb_bytes(mesh, extras)
