"""Shapes and poses of glTF files: what a viewer shows first, with values worked out by hand."""

import numpy as np
import pytest

from meshwright.engines.errors import InputError
from meshwright.runtime.files.reader import read_mesh
from meshwright.runtime.geometry.cameras import orbit
from meshwright.runtime.geometry.render import render_views
from tests.runtime.files.gltf_files import CORNERS, Gltf, base, triangle

HALF = 0.5**0.5
QUARTER_TURN = [0, 0, HALF, HALF]  # about z: x becomes y, y becomes -x


def only(scene):
    (part,) = scene.parts
    return part


def arm(attributes, *, root_scale=1.0, inverse_binds=True):
    """A triangle whose corners follow a joint at the origin, one above it that is turned, and both; skinned by `attributes`."""
    file = Gltf()
    corners = np.float32([[0, 0, 0], [0, 2, 0], [1, 1, 0]])
    mesh = file.mesh({"POSITION": corners, "NORMAL": np.float32([[0, 1, 0]] * 3), **attributes})
    file.node(root=False, rotation=QUARTER_TURN, translation=[0, 1, 0])
    file.node(root=False, children=[0])
    file.node(scale=[root_scale] * 3, children=[1])
    back = np.eye(4, dtype=np.float32)
    back[1, 3] = -1
    binds = {"inverseBindMatrices": file.array(np.stack([np.eye(4, dtype=np.float32), back]).transpose(0, 2, 1).reshape(2, 16))}
    file.add("skins", {"joints": [1, 0], **(binds if inverse_binds else {})})
    file.node(mesh=mesh, skin=0, translation=[9, 9, 9], scale=[5, 5, 5])  # of no account
    return file


JOINTS = np.uint8([[0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0]])
WEIGHTS = np.float32([[1, 0, 0, 0], [1, 0, 0, 0], [0.25, 0.75, 0, 0]])
BENT = np.float32([[0, 0, 0], [-1, 1, 0], [0.25, 1.75, 0]])


@pytest.mark.parametrize("skin", [
    {"JOINTS_0": JOINTS, "WEIGHTS_0": WEIGHTS},
    {"JOINTS_0": JOINTS.astype(np.uint16), "WEIGHTS_0": 0.1 * WEIGHTS},  # brought to a sum of 1
    {"JOINTS_0": np.uint8([[0, 0, 0, 200], [0, 0, 1, 7], [0, 0, 0, 1]]),
     "WEIGHTS_0": np.float32([[0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0.25, 0.75]])},  # joints that weigh nothing may be anything
    {"JOINTS_0": JOINTS, "WEIGHTS_0": np.float32([[1, 0, 0, 0], [1, 0, 0, 0], [0.25, 0.25, 0, 0]]),
     "JOINTS_1": np.uint8([[0] * 4, [0] * 4, [0, 0, 1, 0]]), "WEIGHTS_1": np.float32([[0] * 4, [0] * 4, [0, 0, 0.5, 0]])},
], ids=["plain", "sum", "unused", "two sets"])
def test_a_skin_moves_each_vertex_by_its_joints(skin):
    """Joint 1 stands at (0, 1, 0) and turns by 90 degrees: (0, 2, 0) lies one above it, and comes to (-1, 1, 0). A quarter of joint 0's
    (1, 1, 0) and three of joint 1's (0, 2, 0) are (0.25, 1.75, 0)."""
    part = only(arm(skin).scene())
    np.testing.assert_allclose(part.vertices, BENT, atol=1e-6)
    np.testing.assert_allclose(part.normals[1], [-1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(only(arm(skin, root_scale=2.0).scene()).vertices, 2 * BENT, atol=1e-6)


def test_weights_may_be_whole_numbers_and_inverse_bind_matrices_are_identities_where_none_are_given():
    file = arm({"JOINTS_0": JOINTS, "WEIGHTS_0": np.rint(255 * WEIGHTS).astype(np.uint8)}, inverse_binds=False)
    file.document["accessors"][file.document["meshes"][0]["primitives"][0]["attributes"]["WEIGHTS_0"]]["normalized"] = True
    # Joint 1 takes (0, 2, 0) to (-2, 1, 0) and (1, 1, 0) to (-1, 2, 0); 64 and 191 of 255 are 0.251 and 0.749.
    np.testing.assert_allclose(only(file.scene()).vertices,
                               [[0, 0, 0], [-2, 1, 0], [(64 - 191) / 255, (64 + 2 * 191) / 255, 0]], atol=1e-6)


def test_a_skinned_mesh_that_is_mirrored_shows_its_front():
    file = arm({"JOINTS_0": np.zeros_like(JOINTS), "WEIGHTS_0": np.float32([[1, 0, 0, 0]] * 3)})
    before = only(file.scene())
    file.document["nodes"][2]["scale"] = [-1, 1, 1]
    after = only(file.scene())
    np.testing.assert_allclose(after.vertices, before.vertices * [-1, 1, 1], atol=1e-6)
    assert after.faces.tolist() == before.faces[:, ::-1].tolist()


def test_a_node_with_a_skin_but_a_mesh_without_joints_is_placed_by_its_matrix():
    np.testing.assert_allclose(only(arm({}).scene()).vertices[1], [9, 19, 9])


@pytest.mark.parametrize(("on_mesh", "on_node", "up"), [(None, None, 1), ([0.5, 0], None, 2), ([0.5, 0], [0, 2], 1), ([0, 0], [1, 2], 3)])
def test_morph_targets_by_their_default_weights(on_mesh, on_node, up):
    """The first raises the third corner by 2, the second moves the second corner by 3 in x and turns its normal. A node's own weights
    go before the mesh's."""
    file = Gltf()
    raised, moved, turned = np.zeros((3, 3, 3), np.float32)
    raised[2], moved[1], turned[1] = [0, 2, 0], [3, 0, 0], [0.5, 0, -0.5]
    targets = [{"POSITION": file.array(raised)}, {"POSITION": file.array(moved), "NORMAL": file.array(turned)}]
    mesh = file.mesh({"POSITION": CORNERS, "NORMAL": np.float32([[0, 0, 1]] * 3)}, targets=targets, weights=on_mesh)
    file.node(mesh=mesh, **({} if on_node is None else {"weights": on_node}))
    part, second = only(file.scene()), (on_node or on_mesh or [0, 0])[1]
    np.testing.assert_allclose(part.vertices, [[0, 0, 0], [1 + 3 * second, 0, 0], [0, up, 0]])
    np.testing.assert_allclose(part.normals[1], [second / 2, 0, 1 - second / 2])


def test_morph_targets_may_change_colours_and_coordinates_and_be_sparse():
    file = Gltf()
    only_last = {"count": 1, "indices": {"bufferView": file.view(np.uint8([2]).tobytes()), "componentType": 5121},
                 "values": {"bufferView": file.view(np.float32([0, 0, 8]).tobytes())}}
    target = {"POSITION": file.add("accessors", {"componentType": 5126, "count": 3, "type": "VEC3", "sparse": only_last}),
              "COLOR_0": file.array(np.float32([[-0.5, 0, 0]] * 3))}
    mesh = file.mesh({"POSITION": CORNERS, "COLOR_0": np.float32([[1, 1, 1]] * 3)}, targets=[target], weights=[0.5])
    file.node(mesh=mesh)
    part = only(file.scene())
    np.testing.assert_allclose(part.vertices, [[0, 0, 0], [1, 0, 0], [0, 1, 4]])
    np.testing.assert_allclose(part.colors, [[0.75, 1, 1]] * 3)


def test_instances_stand_where_their_attributes_say_within_their_node():
    """The second is twice as large, turned by 90 degrees about z, and 2 to the right, all within a node that is 10 above."""
    file = Gltf(extensionsUsed=["EXT_mesh_gpu_instancing"], extensionsRequired=["EXT_mesh_gpu_instancing"])
    turns = np.int8([[0, 0, 0, 127], [0, 0, 90, 90]])
    attributes = {"TRANSLATION": file.array(np.float32([[0, 0, 0], [2, 0, 0]])), "ROTATION": file.array(turns, normalized=True),
                  "SCALE": file.array(np.float32([[1, 1, 1], [2, 2, 2]]))}
    file.node(mesh=file.mesh({"POSITION": CORNERS}), translation=[0, 10, 0],
              extensions={"EXT_mesh_gpu_instancing": {"attributes": attributes}})
    scene = file.scene()
    np.testing.assert_allclose(only(scene).vertices, [[0, 10, 0], [1, 10, 0], [0, 11, 0], [2, 10, 0], [2, 12, 0], [0, 10, 0]], atol=0.02)
    assert only(scene).faces.tolist() == [[0, 1, 2], [3, 4, 5]] and scene.notices == ()


def test_a_mirrored_instance_shows_its_front():
    file = Gltf()
    attributes = {"SCALE": file.array(np.float32([[1, 1, 1], [1, 1, -1]]))}
    file.node(mesh=file.mesh({"POSITION": CORNERS}), extensions={"EXT_mesh_gpu_instancing": {"attributes": attributes}})
    assert only(file.scene()).faces.tolist() == [[0, 1, 2], [5, 4, 3]]


def test_more_instances_than_are_read_are_refused():
    """A hundred thousand of them, of a mesh of fifty triangles, are asked for by a small file."""
    file = Gltf()
    many = file.add("accessors", {"componentType": 5126, "count": 10**5, "type": "VEC3"})
    mesh = file.mesh({"POSITION": CORNERS}, indices=np.uint8([0, 1, 2] * 50))
    file.node(mesh=mesh, extensions={"EXT_mesh_gpu_instancing": {"attributes": {"TRANSLATION": many}}})
    with pytest.raises(InputError, match="too many triangles"):
        file.scene()


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint32])
@pytest.mark.parametrize("with_base", [True, False])
def test_sparse_accessors(kind, with_base):
    file = Gltf()
    positions = file.array(CORNERS) if with_base else file.add("accessors", {"componentType": 5126, "count": 3, "type": "VEC3"})
    file.document["accessors"][positions]["sparse"] = {
        "count": 2, "indices": {"bufferView": file.view(b"\xff" * 4 + kind([0, 2]).tobytes()), "byteOffset": 4,
                                "componentType": {1: 5121, 2: 5123, 4: 5125}[kind().nbytes]},
        "values": {"bufferView": file.view(np.float32([[5, 0, 0], [0, 7, 0]]).tobytes())}}
    file.node(mesh=file.mesh({"POSITION": positions}))
    second = [1, 0, 0] if with_base else [0, 0, 0]
    np.testing.assert_allclose(only(file.scene()).vertices, [[5, 0, 0], second, [0, 7, 0]])


def test_positions_may_be_whole_numbers():
    """KHR_mesh_quantization: shorts from 0 to 1, unscaled bytes, and normals of signed bytes."""
    file = Gltf(extensionsRequired=["KHR_mesh_quantization"])
    shorts = file.array(np.uint16([[0, 0, 0, 9], [65535, 0, 0, 9], [0, 13107, 0, 9]])[:, :3], normalized=True)
    normals = file.array(np.int8([[0, 0, 127]] * 3), normalized=True)
    file.node(mesh=file.mesh({"POSITION": shorts, "NORMAL": normals}), scale=[10, 10, 10])
    file.node(mesh=file.mesh({"POSITION": np.int8([[0, 0, 0], [-7, 0, 0], [0, 100, 0]])}))
    first, second = file.scene().parts
    np.testing.assert_allclose(first.vertices, [[0, 0, 0], [10, 0, 0], [0, 2, 0]], atol=1e-5)
    np.testing.assert_allclose(first.normals / 10, [[0, 0, 10]] * 3, atol=1e-5)  # of any length
    np.testing.assert_allclose(second.vertices, [[0, 0, 0], [-7, 0, 0], [0, 100, 0]])


def test_strips_and_fans_are_triangles_and_the_rest_is_left_out_with_a_notice():
    file = Gltf()
    square = np.float32([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]])
    primitives = [{"attributes": {"POSITION": file.array(square)}, "mode": mode} for mode in (5, 6, 4, 0, 1)]
    file.node(mesh=file.add("meshes", {"name": "grass", "primitives": primitives}))
    scene = file.scene()
    assert [part.vertices[part.faces].tolist() for part in scene.parts] == [
        square[faces].tolist() for faces in ([[0, 1, 2], [3, 2, 1]], [[0, 1, 2], [0, 2, 3]], [[0, 1, 2]])]
    assert scene.notices == ("points and lines are left out (mesh 'grass')",)


def test_what_the_scene_does_not_show_is_left_out():
    """Another scene, hidden nodes and what is below them, and coarser levels of detail."""
    file, at = Gltf(), lambda x: {"mesh": 0, "translation": [x, 0, 0]}
    file.mesh({"POSITION": CORNERS})
    below = file.node(root=False, **at(1))
    file.node(**at(2), children=[below], extensions={"KHR_node_visibility": {"visible": False}})
    coarse = file.node(**at(3))
    file.node(**at(4), extensions={"MSFT_lod": {"ids": [coarse]}})
    other = file.node(root=False, **at(5))
    file.document["scenes"].append({"nodes": [other]})
    file.document["animations"] = [{"channels": [], "samplers": []}]
    scene = file.scene()
    assert only(scene).vertices[0].tolist() == [4, 0, 0]
    assert scene.notices == ("only the default one of 2 scenes is read",
                             "animations are not played: the mesh is read in its rest pose")
    file.document["scene"] = 1
    assert only(file.scene()).vertices[0].tolist() == [5, 0, 0]


def test_a_place_far_away_keeps_the_shape():
    """In float32 the numbers around 4,000,000 lie 0.25 apart."""
    file = triangle()
    file.document["nodes"][0]["translation"] = [4e6, 0, 0]
    np.testing.assert_allclose(only(file.scene()).vertices - [4e6, 0, 0], CORNERS, atol=1e-6)


# What is wrong.

@pytest.mark.parametrize(("change", "message"), [
    (lambda d: d["accessors"][0].update(sparse={"count": 4, "indices": {}, "values": {}}), "replaces 4 of 3 elements"),
    (lambda d: d["accessors"][0].update(sparse={"count": 1, "indices": {"bufferView": 0, "componentType": 5126},
                                                "values": {"bufferView": 0}}), "replaces nonexistent elements"),
    (lambda d: d["accessors"][0].update(sparse={"count": 1, "indices": {"bufferView": 0, "componentType": 5121, "byteOffset": 15},
                                                "values": {"bufferView": 0}}), "replaces nonexistent elements"),
    (lambda d: d["nodes"][0].update(mesh=-1), "-1' is not an index"),
    (lambda d: d["nodes"][0].update(mesh=True), "True' is not an index"),
    (lambda d: d["nodes"].append({"children": [0, 0]}) or d["scenes"][0].update(nodes=[1]), "nodes do not form a tree"),
    (lambda d: d["nodes"][0].update(extensions={"EXT_mesh_gpu_instancing": {"attributes": {"SCALE": 9}}}), "not a readable mesh"),
    (lambda d: d["asset"].update(version="1.0"), "glTF of version '1.0', not 2"),
    (lambda d: d["bufferViews"][0].update(buffer=1), "not a readable mesh"),
])
def test_broken_files(tmp_path, change, message):
    file = triangle()
    change(file.document)
    (tmp_path / "a.glb").write_bytes(file.glb())
    with pytest.raises(InputError, match=message):
        read_mesh(tmp_path / "a.glb")


@pytest.mark.parametrize(("change", "message"), [
    (lambda d: d["skins"][0].update(joints=[1]), "a vertex refers to joint 1 of 1"),
    (lambda d: d["skins"][0].update(joints=[1, 0, 2]), "fewer inverse bind matrices than joints"),
    (lambda d: d["nodes"][0].update(children=[2]), "nodes do not form a tree"),
    (lambda d: d["skins"].clear(), "not a readable mesh"),
])
def test_broken_skins(tmp_path, change, message):
    file = arm({"JOINTS_0": JOINTS, "WEIGHTS_0": WEIGHTS})
    change(file.document)
    (tmp_path / "a.glb").write_bytes(file.glb())
    with pytest.raises(InputError, match=message):
        read_mesh(tmp_path / "a.glb")


def test_interleaved_vertices():
    """Positions and colours in one buffer view, 16 bytes a vertex."""
    file = Gltf()
    rows = np.zeros(3, [("position", "<f4", 3), ("color", "u1", 4)])
    rows["position"], rows["color"] = CORNERS, [[255, 0, 0, 255], [0, 255, 0, 255], [0, 0, 51, 255]]
    view = file.view(rows.tobytes(), byteStride=16)
    position = file.add("accessors", {"bufferView": view, "componentType": 5126, "count": 3, "type": "VEC3"})
    color = file.add("accessors", {"bufferView": view, "byteOffset": 12, "componentType": 5121, "normalized": True, "count": 3,
                                   "type": "VEC4"})
    file.node(mesh=file.mesh({"POSITION": position, "COLOR_0": color}))
    part = only(file.scene())
    np.testing.assert_array_equal(part.vertices, CORNERS)
    np.testing.assert_allclose(part.colors, [[1, 0, 0], [0, 1, 0], [0, 0, 0.2]])


def test_a_skinned_post_stands_up_in_the_views(tmp_path):
    """In its mesh it lies along +Z; its joint, below a node that turns by -90 degrees about x, stands it up: red is above, grey below."""
    file = Gltf()
    for low, high, color in ((-1, 0.6, [0.4, 0.4, 0.4, 1]), (0.6, 1, [0.7, 0.01, 0.01, 1])):
        corners = np.float32([[x, y, z] for x in (-0.2, 0.2) for y in (-0.2, 0.2) for z in (low, high)])
        quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
        faces = np.uint16([[quad[0], quad[i], quad[i + 1]] for quad in quads for i in (1, 2)])
        skin = {"JOINTS_0": np.zeros((8, 4), np.uint8), "WEIGHTS_0": np.float32([[1, 0, 0, 0]] * 8)}
        mesh = file.mesh({"POSITION": corners, **skin}, indices=faces.ravel(), material=base(baseColorFactor=color))
        file.node(mesh=mesh, skin=0)
    joint = file.node(root=False)
    file.node(rotation=[-HALF, 0, 0, HALF], children=[joint])
    file.add("skins", {"joints": [joint]})
    (tmp_path / "post.glb").write_bytes(file.glb())
    mesh = read_mesh(tmp_path / "post.glb").mesh
    view = np.rint(255 * render_views(mesh, orbit([0], [0]), 64, shaded=False)[0])
    np.testing.assert_allclose(np.ptp(mesh.vertices, axis=0)[2] / np.ptp(mesh.vertices, axis=0)[:2], 5, rtol=1e-4)  # z is up
    assert view[12, 32].tolist() == [218, 25, 25] and view[40, 32].tolist() == [170, 170, 170]  # sRGB of 0.7, 0.01 and 0.4
