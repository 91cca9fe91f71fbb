"""Which extensions of glTF are read, which do not matter here, and which cannot be done without."""

from __future__ import annotations

from typing import Any

from ....engines.errors import InputError
from ..scene.notices import Notices, quoted
from .document import MESHOPT, compressed
from .draco import DRACO, require_draco

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


def check_extensions(root: dict[str, Any], notices: Notices) -> None:
    """InputError if the file cannot be read rightly without an extension that is not read here.

    Whatever else of its extensions is left out is noticed.
    """
    required, used = _names(root, "extensionsRequired"), _names(root, "extensionsUsed")
    for name in required:
        if name == DRACO:
            require_draco()
        elif name in MESHOPT:
            raise compressed(name)
        elif name not in READ | PICTURES | NEITHER:
            raise InputError("the mesh needs an extension of glTF that is not read here", received=quoted(name),
                             expected="glTF 2.0 and the extensions in docs/mesh_files.md", remedy="save it again without that extension")
        elif name in NEITHER:
            notices.add("a required extension that changes neither shape nor base colour is ignored", name)
    for name in used:
        if name not in READ.union(PICTURES, NEITHER, MESHOPT, [DRACO], required):
            notices.add("an unknown glTF extension is ignored", quoted(name))


def _names(root: dict[str, Any], key: str) -> list[str]:
    names = root.get(key, [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"{key} is no list of names")
    return list(dict.fromkeys(names))
