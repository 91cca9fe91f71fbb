"""Which extensions of glTF are read, which do not matter here, and which cannot be done without; Draco's, for which DracoPy is needed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np

from ....engines.errors import InputError
from ..scene.notices import Notices, quoted
from .document import MESHOPT, Document, compressed

READ = {
    "EXT_mesh_gpu_instancing", "EXT_texture_avif", "EXT_texture_webp", "KHR_materials_emissive_strength",
    "KHR_materials_pbrSpecularGlossiness", "KHR_materials_unlit", "KHR_mesh_quantization", "KHR_node_visibility",
    "KHR_texture_transform", "MSFT_lod",
}
# Pictures of formats that are not decoded here: a notice names each of them, unless the file has it in another format too.
PICTURES = {"KHR_texture_basisu", "MSFT_texture_dds"}
# They change neither the shape nor the base colour.
NEITHER = {
    "ADOBE_materials_clearcoat_specular", "ADOBE_materials_clearcoat_tint", "AGI_articulations", "AGI_stk_metadata",
    "CESIUM_primitive_outline", "EXT_instance_features", "EXT_lights_ies", "EXT_lights_image_based", "EXT_mesh_features",
    "EXT_mesh_manifold", "EXT_structural_metadata", "FB_geometry_metadata", "GODOT_single_root", "KHR_animation_pointer",
    "KHR_audio_emitter", "KHR_implicit_shapes", "KHR_interactivity", "KHR_lights_punctual", "KHR_materials_anisotropy",
    "KHR_materials_clearcoat", "KHR_materials_diffuse_transmission", "KHR_materials_dispersion", "KHR_materials_ior",
    "KHR_materials_iridescence", "KHR_materials_sheen", "KHR_materials_specular", "KHR_materials_transmission",
    "KHR_materials_variants", "KHR_materials_volume", "KHR_materials_volume_scatter", "KHR_node_hoverability",
    "KHR_node_selectability", "KHR_physics_rigid_bodies", "KHR_xmp", "KHR_xmp_json_ld", "MSFT_packing_normalRoughnessMetallic",
    "MSFT_packing_occlusionRoughnessMetallic", "VRMC_node_constraint", "VRMC_springBone", "VRMC_vrm",
}
DRACO = "KHR_draco_mesh_compression"


def check_extensions(root: dict[str, Any], notices: Notices) -> None:
    """InputError if the file cannot be read rightly without an extension that is not read here.

    Whatever else of its extensions is left out is noticed.
    """
    required, used = _names(root, "extensionsRequired"), _names(root, "extensionsUsed")
    for name in required:
        if name == DRACO:
            require_draco()
        elif name in MESHOPT:
            if find_spec("meshopt") is None:
                raise compressed(name)
        elif name not in READ | PICTURES | NEITHER:
            raise InputError("the mesh requires an unsupported glTF extension", received=quoted(name),
                             expected="glTF 2.0 and the extensions in docs/files.md", remedy="save it again without that extension")
        elif name in NEITHER:
            notices.add("a required extension that changes neither shape nor base colour is ignored", name)
    for name in used:
        if name not in READ.union(PICTURES, NEITHER, MESHOPT, [DRACO], required):
            notices.add("an unknown glTF extension is ignored", quoted(name))


def _names(root: dict[str, Any], key: str) -> list[str]:
    names = root.get(key, [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"{key} is not a list of names")
    return list(dict.fromkeys(names))


def require_draco() -> None:
    """InputError where there is no decoder."""
    if find_spec("DracoPy") is None:
        raise InputError("the mesh is compressed", received=DRACO, expected="plain glTF 2.0, or the package DracoPy",
                         remedy="save it again without compression, or pip install DracoPy")


def decompressed(document: Document, primitive: dict[str, Any]) -> dict[int, np.ndarray]:
    """What the accessors of a primitive hold, (n, k) each, by their numbers; none where its accessors have bytes of their own.

    Errors: InputError without a decoder, ValueError for data that it cannot read.
    """
    entry = primitive.get("extensions", {}).get(DRACO)
    if entry is None or "bufferView" in document.entry("accessors", primitive["attributes"]["POSITION"]):
        return {}
    require_draco()
    import DracoPy

    data = bytes(document.view(entry["bufferView"])[0])
    try:
        mesh = DracoPy.decode(data)
    except Exception as error:  # its errors have no class in common
        raise ValueError(f"its Draco data cannot be decoded ({error})") from error
    arrays = {attribute["unique_id"]: np.asarray(attribute["data"]) for attribute in mesh.attributes}
    attributes = primitive["attributes"]
    found = {attributes[name]: arrays[number] for name, number in entry["attributes"].items() if name in attributes}
    if "indices" in primitive:
        found[primitive["indices"]] = np.asarray(mesh.faces, np.uint32).reshape(-1, 1)
    return {accessor: values.reshape(len(values), -1) for accessor, values in found.items()}
