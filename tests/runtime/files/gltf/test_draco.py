"""Primitives that Draco compressed, by its own encoder."""

import numpy as np
import pytest

from meshwright.engines.errors import InputError
from meshwright.runtime.files.gltf import extensions as gltf_draco
from meshwright.runtime.files.reader import read_mesh
from tests.runtime.files.gltf_files import CORNERS, Gltf

DracoPy = pytest.importorskip("DracoPy")  # an extra of the package; the tests' own extra has it
DRACO = "KHR_draco_mesh_compression"
SQUARE = np.float32([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]])
FACES = np.uint32([[0, 1, 2], [2, 1, 3]])
COLORS = np.uint8([[255, 0, 0, 255], [0, 255, 0, 255], [0, 0, 255, 255], [255, 255, 255, 255]])


def packed(**changes):
    """A file of the square, each corner another colour."""
    file = Gltf(extensionsUsed=[DRACO], extensionsRequired=[DRACO])
    data = DracoPy.encode(SQUARE, FACES, colors=COLORS, normals=np.tile([0.0, 0.0, 1.0], (4, 1)), preserve_order=True)
    names = {0: "POSITION", 1: "NORMAL", 2: "COLOR_0"}
    numbers = {names[each["attribute_type"]]: each["unique_id"] for each in DracoPy.decode(data).attributes}
    accessor = {"componentType": 5126, "count": 4, "type": "VEC3"}
    attributes = {"POSITION": file.add("accessors", accessor | changes), "NORMAL": file.add("accessors", accessor),
                  "COLOR_0": file.add("accessors", {"componentType": 5121, "count": 4, "type": "VEC4", "normalized": True})}
    indices = file.add("accessors", {"componentType": 5125, "count": 6, "type": "SCALAR"})
    file.node(mesh=file.mesh(attributes, indices=indices, extensions={DRACO: {"bufferView": file.view(data), "attributes": numbers}}))
    return file


def test_it_is_read():
    scene = packed().scene()
    (part,) = scene.parts
    np.testing.assert_allclose(part.vertices[part.faces], SQUARE[FACES], atol=1e-3)  # fourteen bits
    np.testing.assert_allclose(part.colors[part.faces], COLORS[FACES][..., :3] / 255)
    np.testing.assert_allclose(part.normals, [[0, 0, 1]] * 4, atol=0.01)
    assert scene.notices == ()


def test_plain_primitives_beside_it_are_their_own():
    file = packed()
    file.node(mesh=file.mesh({"POSITION": CORNERS}))
    assert [len(part.faces) for part in file.scene().parts] == [2, 1]


def test_without_the_package_it_is_refused(monkeypatch):
    file = packed()
    monkeypatch.setattr(gltf_draco, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="the mesh is compressed; received KHR_draco_mesh_compression.*save it again without compression"):
        file.scene()
    del file.document["extensionsRequired"]  # the accessors have no bytes all the same
    with pytest.raises(InputError, match="save it again without compression, or pip install DracoPy"):
        file.scene()


def test_data_that_do_not_fit_are_refused(tmp_path):
    path = tmp_path / "a.glb"
    path.write_bytes(packed(count=5).glb())
    with pytest.raises(InputError, match="not a readable mesh"):
        read_mesh(path)
    data, random = packed().glb(), np.random.default_rng(0)
    start = data.index(b"DRACO")
    for _ in range(300):
        changed = bytearray(data)
        for at in random.integers(start, len(data), size=3):
            changed[at] = random.integers(256)
        path.write_bytes(changed)
        try:
            assert np.isfinite(read_mesh(path).mesh.vertices).all()
        except InputError:
            pass
