"""Extensions that a glTF file requires or uses: read, left out with a notice, or refused by their own names."""

from pathlib import Path

import numpy as np
import pytest

from meshwright.engines.errors import InputError
from meshwright.runtime.files.gltf import document, extensions
from meshwright.runtime.files.gltf.reader import read_glb
from tests.runtime.files.gltf_files import CORNERS, Gltf, base, painted, triangle


@pytest.mark.parametrize("name", ["KHR_lights_punctual", "KHR_materials_variants", "KHR_materials_transmission", "KHR_materials_ior",
                                  "KHR_materials_specular", "KHR_xmp_json_ld"])
def test_what_changes_neither_shape_nor_colour_is_left_out(name):
    file = triangle()
    file.document["extensionsUsed"] = [name]
    assert file.scene().notices == ()
    file.document["extensionsRequired"] = [name]
    scene = file.scene()
    assert len(scene.parts) == 1
    assert scene.notices == (f"a required extension that changes neither shape nor base colour is ignored ({name})",)


@pytest.mark.parametrize("name", ["KHR_texture_transform", "KHR_materials_unlit", "KHR_mesh_quantization", "EXT_texture_webp",
                                  "KHR_materials_emissive_strength", "EXT_mesh_gpu_instancing", "KHR_node_visibility"])
def test_what_is_read_may_be_required_without_a_word(name):
    file = triangle()
    file.document["extensionsRequired"] = [name]
    assert file.scene().notices == ()


@pytest.mark.parametrize("name", ["ACME_subdivision", "KHR_techniques_webgl", "X\x1b[31m"])
def test_what_is_not_known_is_refused_by_its_name_where_it_is_required(name):
    file = triangle()
    file.document["extensionsUsed"] = [name]
    assert file.scene().notices == (f"an unknown glTF extension is ignored ({name!r})",)
    file.document["extensionsRequired"] = [name]
    with pytest.raises(InputError) as caught:
        file.scene()
    assert repr(name) in str(caught.value) and "compression" not in str(caught.value)


@pytest.mark.parametrize("name", ["EXT_meshopt_compression", "KHR_meshopt_compression"])
def test_only_compressed_files_are_to_be_saved_without_compression(name, monkeypatch):
    monkeypatch.setattr(extensions, "find_spec", lambda name: None)
    file = triangle()
    file.document["extensionsRequired"] = [name]
    message = f"compressed; received {name}; expected plain glTF 2.0, or the package meshopt; save it again without compression"
    with pytest.raises(InputError, match=message):
        file.scene()


def test_compressed_meshes_of_files_that_do_not_say_so_are_refused(monkeypatch):
    """The buffer of meshopt has no bytes of its own."""
    monkeypatch.setattr(document, "find_spec", lambda name: None)
    file = Gltf()
    positions = file.array(CORNERS)
    file.document["bufferViews"][0]["extensions"] = {"EXT_meshopt_compression": {}}
    file.node(mesh=file.mesh({"POSITION": positions}))
    with pytest.raises(InputError, match="EXT_meshopt_compression"):
        read_glb(file.glb(chunk=False, extensions={"EXT_meshopt_compression": {"fallback": True}}), Path())


def test_compressed_meshes_with_plain_ones_beside_them_are_read():
    """Where the extension is used and not required, its plain data are in the file."""
    file = Gltf(extensionsUsed=["KHR_draco_mesh_compression", "EXT_meshopt_compression"])
    mesh = file.mesh({"POSITION": CORNERS}, extensions={"KHR_draco_mesh_compression": {"bufferView": 0, "attributes": {"POSITION": 0}}})
    file.document["bufferViews"][0]["extensions"] = {"EXT_meshopt_compression": {"buffer": 0, "byteLength": 5}}
    file.node(mesh=mesh)
    scene = file.scene()
    np.testing.assert_array_equal(scene.parts[0].vertices, CORNERS)
    assert scene.notices == ()


def test_variants_show_their_default():
    file = painted(lambda file: base(baseColorFactor=[0, 1, 0, 1]))
    file.document["meshes"][0]["primitives"][0]["extensions"] = {"KHR_materials_variants": {"mappings": [{"material": 0, "variants": [0]}]}}
    scene = file.scene()
    np.testing.assert_allclose(scene.parts[0].material.color, [0, 1, 0])
    assert scene.notices == ("only the default variant of the materials is read (mesh '0')",)


def test_lists_of_names_that_are_none():
    file = triangle()
    file.document["extensionsRequired"] = "KHR_texture_transform"
    with pytest.raises(TypeError, match="not a list of names"):
        file.scene()
