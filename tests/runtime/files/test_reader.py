"""Meshes of a user's: GLB and OBJ, with trimesh as a witness; damaged files; files of our own back again."""

import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from meshwright.engines.errors import InputError
from meshwright.runtime.files.gltf.reader import read_glb
from meshwright.runtime.files.obj import materials as obj_materials
from meshwright.runtime.files.obj.materials import map_pixels
from meshwright.runtime.files.reader import RADIUS, read_mesh
from meshwright.runtime.files.scene import join
from meshwright.runtime.files.scene.join import join_parts
from meshwright.runtime.files.scene.surfaces import Material, Part
from meshwright.runtime.files.writer import save
from meshwright.runtime.geometry.cameras import orbit
from meshwright.runtime.geometry.mesh import Mesh
from meshwright.runtime.geometry.render import render_views

# Four corners, each another colour; sRGB.
CORNERS = np.array([[0.5, -0.3, -0.4], [0.1, 0.5, -0.4], [-0.5, -0.2, -0.4], [0.0, 0.0, 0.6]], np.float32)
FACES = np.array([[0, 1, 3], [1, 2, 3], [2, 0, 3], [1, 0, 2]], np.int32)
COLORS = np.array([[255, 0, 0], [0, 200, 0], [0, 0, 90], [128, 128, 128]], np.uint8)
TETRA = Mesh(CORNERS, FACES, colors=COLORS)


def textured():
    """The tetrahedron with a texture of four colours, every face in a quarter of its own."""
    texture = np.kron(np.array([[[220, 30, 30], [30, 220, 30]], [[30, 30, 220], [200, 200, 40]]], np.uint8), np.ones((16, 16, 1), np.uint8))
    vertices = CORNERS[FACES].reshape(-1, 3)
    local = np.tile(np.array([[0.1, 0.1], [0.4, 0.1], [0.1, 0.4]], np.float32), (4, 1))
    corner = np.repeat(np.array([[0, 0], [0.5, 0], [0, 0.5], [0.5, 0.5]], np.float32), 3, axis=0)
    return Mesh(vertices, np.arange(12, dtype=np.int32).reshape(-1, 3), uvs=local + corner, texture=texture)


def looks(mesh):
    """Its six views, without light."""
    return render_views(mesh, orbit(), 48, shaded=False, supersample=1)


def off(first, second):
    """The share of pixels that differ visibly: edges of faces may fall to either side."""
    return (np.abs(looks(first) - looks(second)).max(axis=-1) > 0.02).mean()


@pytest.mark.parametrize("ending", ["glb", "obj"])
@pytest.mark.parametrize("mesh", [TETRA, textured()], ids=["colours", "texture"])
def test_files_of_ours_come_back_as_they_were(tmp_path, mesh, ending):
    save(mesh, tmp_path / f"mesh.{ending}")
    read = read_mesh(tmp_path / f"mesh.{ending}").mesh
    np.testing.assert_allclose(np.sort(read.vertices.view("f4,f4,f4"), axis=0).view(np.float32).reshape(-1, 3),
                               np.sort(np.ascontiguousarray(CORNERS[FACES].reshape(-1, 3)).view("f4,f4,f4"), axis=0)
                               .view(np.float32).reshape(-1, 3), atol=1e-6)
    assert read.signed_volume == pytest.approx(mesh.signed_volume, rel=1e-5) and off(read, mesh) < 0.005
    np.testing.assert_allclose(np.linalg.norm(read.normals, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("ending", ["glb", "obj"])
def test_other_files_are_centred_and_made_as_large_as_the_views_show(tmp_path, ending):
    cylinder = trimesh.creation.cylinder(radius=20, height=300)  # along z; +Y is up in the file
    cylinder.apply_translation([1000, 50, 3])
    cylinder.export(tmp_path / f"rod.{ending}")
    mesh = read_mesh(tmp_path / f"rod.{ending}").mesh
    assert np.linalg.norm(mesh.vertices, axis=1).max() == pytest.approx(RADIUS, abs=1e-5)
    low, high = mesh.bounds
    np.testing.assert_allclose(low, -high, atol=1e-5)
    assert high[0] == pytest.approx(RADIUS * 150 / np.hypot(150, 20), abs=0.01) and high[2] < 0.14  # the file's z is the front
    assert mesh.signed_volume > 0


def test_nodes_are_placed_by_their_matrices_and_mirrors_face_outwards(tmp_path):
    scene = trimesh.Scene()
    box = trimesh.creation.box(extents=(1, 1, 1))
    turn = trimesh.transformations.rotation_matrix(np.pi / 2, [0, 1, 0])
    scene.add_geometry(box, node_name="a", transform=trimesh.transformations.translation_matrix([5, 0, 0]) @ turn)
    mirrored = np.diag([1.0, 1.0, -3.0, 1.0])
    mirrored[:3, 3] = [-5, 0, 0]
    scene.add_geometry(box, node_name="b", transform=mirrored)
    scene.export(tmp_path / "scene.glb")
    mesh = read_mesh(tmp_path / "scene.glb").mesh
    assert len(mesh.faces) == 24
    scale = RADIUS / np.sqrt(5.5**2 + 0.5**2 + 1.5**2)
    assert mesh.signed_volume == pytest.approx(4 * scale**3, rel=1e-4)
    np.testing.assert_allclose(mesh.bounds[1], np.array([1.5, 5.5, 0.5]) * scale, atol=1e-4)
    assert ((mesh.normals * mesh.face_normals().repeat(3, axis=0)).sum(axis=1) > 0.99).all()


def test_each_material_keeps_its_colour(tmp_path):
    """A picture, a plain factor (linear light), and vertex colours beside a picture, which count as their mean."""
    picture = Image.fromarray(np.tile(np.array([[[250, 10, 10]]], np.uint8), (8, 8, 1)))
    pbr = trimesh.visual.material.PBRMaterial
    scene = trimesh.Scene()
    for i, (material, uv) in enumerate([(pbr(baseColorTexture=picture), True), (pbr(baseColorFactor=[0, 0, 255, 255]), True)]):
        box = trimesh.creation.box(extents=(1, 1, 1))
        box.apply_translation([2.0 * i, 0, 0])
        box.visual = trimesh.visual.TextureVisuals(uv=np.zeros((len(box.vertices), 2)) if uv else None, material=material)
        scene.add_geometry(box)
    scene.export(tmp_path / "two.glb")
    mesh = read_mesh(tmp_path / "two.glb").mesh
    colors = {tuple(np.rint(255 * c).astype(int)) for c in looks(mesh).reshape(-1, 3) if (c < 1).any()}
    assert colors == {(250, 10, 10), (0, 0, 255)}


def test_pictures_repeat_as_their_coordinates_say():
    """Over a whole period, over several, and from below zero; beyond all measure only the mean colour is left."""
    stripes = np.zeros((8, 8, 3), np.uint8)
    stripes[:, 4:] = 255
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]], np.float32)
    faces = np.array([[0, 1, 2], [1, 3, 2]], np.int32)

    def bright(scale, start=0.0):
        uvs = corners[:, :2] * scale + start
        mesh = join_parts([Part(corners, faces, Material(np.ones(3, np.float32), stripes), uvs=uvs)])
        assert 0 <= mesh.uvs.min() and mesh.uvs.max() <= 1
        places = np.random.default_rng(0).dirichlet(np.ones(3), 2000)
        from meshwright.runtime.geometry.render import sample_texture
        seen = [sample_texture(mesh.texture, (places @ mesh.uvs[face]).astype(np.float32)) for face in mesh.faces]
        at = [places @ mesh.vertices[face] for face in mesh.faces]
        expected = [((p[:, 0] * scale + start) % 1 >= 0.5) for p in at]
        return np.mean(np.abs(np.concatenate(seen)[:, 0] - np.concatenate(expected)))

    assert bright(1.0) < 0.15 and bright(3.0) < 0.15 and bright(1.0, -2.25) < 0.15 and bright(2.0, 0.5) < 0.15
    mean = join_parts([Part(corners, faces, Material(np.ones(3, np.float32), stripes), uvs=corners[:, :2] * 1000)])
    assert abs(int(mean.texture[0, 0, 0]) - 127) <= 1 and np.ptp(mean.texture) == 0


def panels(materials, uvs):
    """Triangles side by side, one a material."""
    corners, faces = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32), np.array([[0, 1, 2]], np.int32)
    return [Part(corners + np.float32([i, 0, 0]), faces, material, uvs=uvs) for i, material in enumerate(materials)]


def test_parts_that_look_the_same_share_a_tile():
    """Of one material's picture, as often as it repeats, and of one plain colour."""
    uvs = np.array([[0, 0], [1, 0], [0, 1]], np.float32)
    picture, plain = Material(np.ones(3, np.float32), np.full((32, 16, 3), 200, np.uint8)), Material(np.float32([1, 0, 0]))
    mesh = join_parts([*panels([picture] * 50, uvs), *panels([picture], 2 * uvs), *panels([plain] * 50, uvs)])
    assert mesh.texture.shape == (64, 16 + 2 * 16 + 4, 3) and len(mesh.faces) == 101
    np.testing.assert_array_equal(mesh.uvs[:3], mesh.uvs[147:150])
    assert {tuple(each) for each in mesh.texture[:4, -4:].reshape(-1, 3).tolist()} == {(255, 0, 0)}


def test_many_pictures_get_smaller_tiles():
    """The common texture has a bound, however many materials a file names."""
    uvs = np.array([[0, 0], [1, 0], [0, 1]], np.float32)
    pictures = [Material(np.ones(3, np.float32), np.full((256, 256, 3), level, np.uint8)) for level in range(200)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(join, "MAX_TEXELS", 1 << 16)
        mesh = join_parts(panels(pictures, uvs))
    assert mesh.texture.shape == (18, 200 * 18, 3)  # 200 * 18**2 = 64,800 of 65,536
    assert [int(mesh.texture[9, 9 + 18 * i, 0]) for i in (0, 77, 199)] == [0, 77, 199]


OBJ = """# by hand
mtllib colours.mtl
v 0 0 0
v 1 0 0
v 1 1 0
v 0 1 0
v 0.5 0.5 1
usemtl red
f 1 4 3 2
f 1/ 2// 5
usemtl unknown
f -4 -3 -1
f 3 4 5
f 4 1 5
"""


def test_obj_polygons_numbers_from_the_end_and_materials(tmp_path):
    (tmp_path / "pyramid.obj").write_text(OBJ)
    (tmp_path / "colours.mtl").write_text("newmtl red\nKd 1 0 0\n")
    mesh = read_mesh(tmp_path / "pyramid.obj").mesh
    assert len(mesh.faces) == 6 and mesh.signed_volume > 0
    assert {tuple(c) for c in mesh.colors} == {(255, 0, 0), (255, 255, 255)}
    assert (mesh.colors[:9] == [255, 0, 0]).all()
    assert mesh.bounds[1][0] > 0 and mesh.bounds[1][0] == pytest.approx(mesh.bounds[1][2])  # the tip, +Z, is in front


def test_obj_materials_outside_of_its_folder_are_not_opened(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "colours.mtl").write_text("newmtl red\nKd 1 0 0\n")
    os.symlink(tmp_path / "colours.mtl", tmp_path / "in" / "linked.mtl")
    for name in ("../colours.mtl", str(tmp_path / "colours.mtl"), "linked.mtl", "nowhere.mtl"):
        (tmp_path / "in" / "pyramid.obj").write_text(OBJ.replace("colours.mtl", name))
        assert (read_mesh(tmp_path / "in" / "pyramid.obj").mesh.colors == 255).all()


@pytest.mark.parametrize(("obj", "mtl"), [
    ("mtllib " + "x" * 300 + ".mtl", ""), ("mtllib m.mtl", "map_Kd " + "y" * 300 + ".png"), ("mtllib m.mtl", "map_Kd"),
    ("mtllib", ""), ("usemtl", ""), ("mtllib m.mtl\nusemtl", "Kd"),
], ids=lambda value: value[:12])
def test_obj_materials_that_name_nothing_are_left_out(tmp_path, obj, mtl):
    (tmp_path / "pyramid.obj").write_text(OBJ.replace("mtllib colours.mtl", obj))
    (tmp_path / "m.mtl").write_text(f"newmtl red\n{mtl}\n")
    assert (read_mesh(tmp_path / "pyramid.obj").mesh.colors == 255).all()


def test_an_obj_reads_a_picture_once(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(obj_materials, "map_pixels", lambda *given: calls.append(given[1]) or map_pixels(*given))
    Image.new("RGB", (4, 4), (250, 10, 10)).save(tmp_path / "red.png")
    (tmp_path / "colours.mtl").write_text("newmtl red\nmap_Kd red.png\nnewmtl unknown\nmap_Kd red.png\n")
    (tmp_path / "pyramid.obj").write_text(OBJ)
    read_mesh(tmp_path / "pyramid.obj")
    assert calls == ["red.png"]


def glb(document, binary=b""):
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    return (struct.pack("<4sII", b"glTF", 2, 28 + len(text) + len(binary)) + struct.pack("<I4s", len(text), b"JSON") + text
            + struct.pack("<I4s", len(binary), b"BIN\0") + binary)


def small(**changes):
    """The document of one triangle without indices, and its bytes."""
    document = {"asset": {"version": "2.0"}, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}],
                "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
                "accessors": [{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}],
                "bufferViews": [{"buffer": 0, "byteLength": 36}], "buffers": [{"byteLength": 36}]}
    return glb(document | changes, np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32).tobytes())


def test_a_triangle_without_anything_else(tmp_path):
    (tmp_path / "a.glb").write_bytes(small())
    mesh = read_mesh(tmp_path / "a.glb").mesh
    assert len(mesh.faces) == 1 and (mesh.colors == 255).all()
    np.testing.assert_allclose(mesh.normals, np.tile([1, 0, 0], (3, 1)), atol=1e-6)  # the file's +Z


def test_primitives_that_share_a_long_list_of_vertices_keep_what_they_need():
    """Here a list without bytes of its own: a million vertices at the origin, of which each primitive asks for one triangle."""
    indices = {"componentType": 5125, "count": 3, "type": "SCALAR"}
    document = {"accessors": [{"componentType": 5126, "count": 10**6, "type": "VEC3"}, indices, indices | {"count": 0}],
                "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": each} for each in (1, 2, 1)]}]}
    parts = read_glb(small(**document), Path()).parts
    assert [part.vertices.shape for part in parts] == [(3, 3), (3, 3)]


@pytest.mark.parametrize(("name", "data", "message"), [
    ("a.fbx", b"", "unknown file extension; received '.fbx'; expected .glb or .gltf or .obj"),
    ("a.glb", b"", "not a readable mesh; received 0 bytes"),
    ("a.glb", b"<html>" * 9, "does not begin as a GLB or glTF file"),
    ("a.glb", small()[:60], "the file ends early"),
    ("a.glb", small().replace(b'"VEC3"', b'"MAT4"'), "not a readable mesh"),
    ("a.glb", small(accessors=[{"bufferView": 0, "componentType": 5126, "count": 4, "type": "VEC3"}]), "reaches beyond its buffer"),
    ("a.glb", small(accessors=[{"bufferView": 0, "componentType": 5126, "count": 2**31, "type": "VEC3"}]), "an accessor of 2147483648"),
    ("a.glb", small(accessors=[{"bufferView": 0, "byteOffset": -12, "componentType": 5126, "count": 3, "type": "VEC3"}]), "beyond"),
    ("a.glb", small(bufferViews=[{"buffer": 0, "byteLength": 10**9}]), "reaches beyond its buffer"),
    ("a.glb", small(buffers=[{"byteLength": 36, "uri": "/etc/passwd"}]), "'/etc/passwd' is outside the mesh's folder"),
    ("a.glb", small(nodes=[{"mesh": 0, "children": [0]}]), "nodes do not form a tree"),
    ("a.glb", small(nodes=[{"mesh": 7}]), "not a readable mesh"),
    ("a.glb", small(nodes=[]), "not a readable mesh"),
    ("a.glb", small(nodes=[{"mesh": 0, "scale": [0, 0, 0]}]), "has no surface; received a point"),
    ("a.glb", small(nodes=[{"mesh": 0, "translation": [float("inf"), 0, 0]}]), "positions that are not finite"),
    ("a.glb", small(meshes=[{"primitives": [{"attributes": {"POSITION": 0}, "mode": 1}]}]), "has no surface; received no triangles"),
    ("a.glb", small(meshes=[{"primitives": [{"attributes": {"POSITION": 0}, "indices": 0}]}]), "its indices are not integers"),
    ("a.obj", b"", "it has no faces"),
    ("a.obj", b"v 0 0\n", "line 1: 2 numbers where 3 are needed"),
    ("a.obj", b"v 0 0 0\nf 1 2 3\n", "line 2: a face refers to position 2 of 1"),
    ("a.obj", b"v 0 0 0\nv 1 0 0\nf 1 2\n", "fewer than three corners"),
    ("a.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 x\n", "line 3"),
    ("a.obj", b"v 0 0 0\nv 1 0 0\nv 0 nan 0\nf 1 2 3\n", "not finite"),
    ("a.obj", b"v 1 1 1\nf 1 1 1\n", "has no surface; received a point"),
    ("a.obj", b"v 0 0 0\nv 1 1 1\nv 2 2 2\nf 1 2 3\n", "has no surface; received faces without area"),
    ("a.obj", bytes(range(256)) * 20, "it has no faces"),
], ids=lambda value: value[:12] if isinstance(value, str) else "")
def test_files_that_are_no_mesh(tmp_path, name, data, message):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=message):
        read_mesh(tmp_path / name)


def test_files_that_are_not_there(tmp_path):
    for path in (tmp_path / "nowhere.glb", tmp_path / "a\0b.obj"):
        with pytest.raises(InputError, match="cannot be read"):
            read_mesh(path)
    (tmp_path / "folder.glb").mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        read_mesh(tmp_path / "folder.glb")


@pytest.mark.parametrize("ending", ["glb", "obj"])
def test_damaged_files_never_crash(tmp_path, ending):
    """Five hundred mutations of a whole file: each is read, or refused as an InputError. Warnings are errors here."""
    save(textured(), tmp_path / f"whole.{ending}")
    whole, random = (tmp_path / f"whole.{ending}").read_bytes(), np.random.default_rng(0)
    path, refused = tmp_path / f"damaged.{ending}", 0
    for _ in range(500):
        data = bytearray(whole)
        for at in random.integers(len(data), size=random.integers(1, 6)):
            data[at] = random.integers(256)
        path.write_bytes(data[:random.integers(len(data))] if random.random() < 0.2 else data)
        try:
            mesh = read_mesh(path).mesh
        except InputError:
            refused += 1
        else:
            assert np.isfinite(mesh.vertices).all() and len(mesh.faces)
    assert 50 < refused < 500
