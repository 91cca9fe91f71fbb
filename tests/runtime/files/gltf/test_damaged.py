"""Damaged glTF files of every kind that is read: each is read, or refused as an InputError. Warnings are errors here."""

import copy
import json
import struct

import numpy as np
import pytest

from meshwright.engines.errors import InputError
from meshwright.runtime.files.reader import read_mesh
from tests.runtime.files.gltf_files import CORNERS, Gltf, base, encoded, quarters

UVS = np.float32([[0, 0], [3, 0], [0, 1]])
VALUES = (None, True, -1, 0, 1, 2, 7, 5121, 5126, 1e9, 2**31, 10**30, -0.5, float("nan"), float("inf"), "", "x", "VEC3", "SCALAR", [], {},
          [0], [1, 2, 3])


def whole():
    """A file with a skin, morph targets, instances, sparse accessors, pictures, samplers, transforms, and two buffers."""
    file = Gltf(extensionsUsed=["KHR_texture_transform", "EXT_mesh_gpu_instancing"], animations=[{}])
    sparse = {"count": 1, "indices": {"bufferView": file.view(np.uint8([2]).tobytes()), "componentType": 5121},
              "values": {"bufferView": file.view(np.float32([0, 2, 8]).tobytes())}}
    positions = file.array(CORNERS, sparse=sparse)
    target = {"POSITION": file.add("accessors", {"componentType": 5126, "count": 3, "type": "VEC3"}), "NORMAL": file.array(CORNERS)}
    texture = file.texture(quarters(4), wrapS=33648, wrapT=33071)
    lamp = file.add("textures", {"source": file.add("images", {"uri": "beside.png"})})
    material = {"name": "m", **base(baseColorFactor=[1, 1, 0.5, 0.9], baseColorTexture={"index": texture, "extensions": {
        "KHR_texture_transform": {"offset": [0.1, 0], "rotation": 1, "scale": [2, 2], "texCoord": 0}}}),
        "emissiveFactor": [1, 0, 0], "emissiveTexture": {"index": lamp}, "alphaMode": "MASK", "alphaCutoff": 0.3}
    skinned = file.mesh(
        {"POSITION": positions, "NORMAL": np.float32([[0, 0, 1]] * 3), "TEXCOORD_0": UVS, "COLOR_0": np.float32([[1, 0, 0, 1]] * 3),
         "JOINTS_0": np.uint8([[0, 1, 0, 0]] * 3), "WEIGHTS_0": np.float32([[0.5, 0.5, 0, 0]] * 3)},
        indices=np.uint16([0, 1, 2]), material=material, targets=[target], weights=[0.5])
    file.node(root=False, translation=[0, 1, 0], rotation=[0, 0, 0.6, 0.8])
    file.node(children=[0])
    binds = np.tile(np.eye(4, dtype=np.float32).reshape(1, 16), (2, 1))
    file.add("skins", {"joints": [1, 0], "inverseBindMatrices": file.array(binds)})
    file.node(mesh=skinned, skin=0)
    instances = {"TRANSLATION": file.array(np.float32([[0, 0, 0], [2, 0, 0]])),
                 "ROTATION": file.array(np.int8([[0, 0, 0, 127]] * 2), normalized=True)}
    glossy = {"extensions": {"KHR_materials_pbrSpecularGlossiness": {"diffuseFactor": [1, 0, 0, 1]}}}
    file.node(mesh=file.mesh({"POSITION": CORNERS}, material=glossy), matrix=np.eye(4).ravel().tolist(),
              extensions={"EXT_mesh_gpu_instancing": {"attributes": instances}})
    return file


def places(document, path=()):
    """The path of everything within a JSON document."""
    for key, value in document.items() if isinstance(document, dict) else enumerate(document):
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


def test_the_whole_file_is_read(tmp_path):
    (tmp_path / "beside.png").write_bytes(encoded(quarters(4)))
    (tmp_path / "a.glb").write_bytes(whole().glb())
    read = read_mesh(tmp_path / "a.glb")
    assert len(read.mesh.faces) == 3 and read.mesh.texture is not None and len(read.sources) == 2


@pytest.mark.parametrize("seed", range(3))
def test_changed_values(tmp_path, seed):
    """In each of six hundred files one to three places of the JSON hold something else, or nothing."""
    (tmp_path / "beside.png").write_bytes(encoded(quarters(4)))
    path, random, refused = tmp_path / "a.glb", np.random.default_rng(seed), 0
    file = whole()
    original, everywhere = file.document, list(places(file.document))
    for _ in range(200):
        file.document = copy.deepcopy(original)
        for index in random.integers(len(everywhere), size=random.integers(1, 4)):
            *way, last = everywhere[index]
            try:
                at = file.document
                for key in way:
                    at = at[key]
                if random.random() < 0.3:
                    del at[last]
                else:
                    at[last] = VALUES[random.integers(len(VALUES))]
            except (LookupError, TypeError):  # an earlier change took the place away
                continue
        path.write_bytes(file.glb())
        refused += not readable(path)
    assert 20 < refused < 190


def test_changed_bytes(tmp_path):
    """Of the JSON and of the rest, some hundred times, and files that end early."""
    (tmp_path / "beside.png").write_bytes(encoded(quarters(4)))
    data, path, random, refused = whole().glb(), tmp_path / "a.glb", np.random.default_rng(0), 0
    for _ in range(300):
        changed = bytearray(data)
        for at in random.integers(len(data), size=random.integers(1, 6)):
            changed[at] = random.integers(256)
        path.write_bytes(changed[:random.integers(len(data))] if random.random() < 0.2 else changed)
        refused += not readable(path)
    assert 50 < refused < 290


@pytest.mark.parametrize("text", [
    b"{", b"{}", b"[]", b"null", b'{"asset": 5}', b'{"nodes": 5}', b'{"scenes": [5]}', b'{"a":' * 100_000, b"\xff\xfe{\x00",
], ids=lambda text: repr(text[:20]))
def test_json_that_is_no_gltf(tmp_path, text):
    (tmp_path / "a.gltf").write_bytes(text)
    assert not readable(tmp_path / "a.gltf")
    (tmp_path / "a.glb").write_bytes(struct.pack("<4sII", b"glTF", 2, 20 + len(text)) + struct.pack("<I4s", len(text), b"JSON") + text)
    assert not readable(tmp_path / "a.glb")


def test_a_chain_of_nodes_is_followed_once(tmp_path):
    """A skin with a thousand joints, each below the one before."""
    file = Gltf()
    count = 1000
    file.document["nodes"] = [{"translation": [0, 0.01, 0], "children": [i + 1][:i < count - 1]} for i in range(count)]
    file.document["scenes"][0]["nodes"] = [0]
    file.add("skins", {"joints": list(range(count))})
    joints = np.uint16([[999, 0, 0, 0]] * 3)
    file.node(mesh=file.mesh({"POSITION": CORNERS, "JOINTS_0": joints, "WEIGHTS_0": np.float32([[1, 0, 0, 0]] * 3)}), skin=0)
    np.testing.assert_allclose(file.scene().parts[0].vertices, CORNERS + [0, 10, 0], atol=1e-4)


def readable(path):
    """Whether it is; anything but an InputError is raised."""
    try:
        mesh = read_mesh(path).mesh
    except InputError:
        return False
    assert np.isfinite(mesh.vertices).all() and len(mesh.faces) and np.isfinite(mesh.normals).all()
    assert mesh.uvs is None or ((mesh.uvs >= 0) & (mesh.uvs <= 1)).all()
    json.dumps(read_mesh(path).placement.describe(), allow_nan=False)
    return True
