"""What the importers of the engines take."""

from __future__ import annotations

from dataclasses import dataclass

from ...engines.errors import InputError
from .options import AssetOptions


@dataclass(frozen=True)
class Limits:
    """What an engine's importer takes. None : no limit of its own.

    triangles : of the finest level; hard : more are refused, not only slow
    texture : pixels along a side
    formats : of textures
    extensions : that it reads where a file requires them
    closed : it wants closed meshes
    """

    triangles: int | None = None
    hard: bool = False
    texture: int = 4096
    formats: tuple[str, ...] = ("png", "jpeg")
    extensions: tuple[str, ...] = ()
    closed: bool = False


# docs/assets.md says where these come from.
LIMITS = {
    "": Limits(),
    "unreal": Limits(triangles=20_000),
    "unity": Limits(triangles=20_000, extensions=("KHR_draco_mesh_compression", "EXT_meshopt_compression", "KHR_mesh_quantization",
                                                  "KHR_texture_basisu"), formats=("png", "jpeg", "ktx2")),
    "godot": Limits(triangles=20_000, extensions=("KHR_texture_basisu", "KHR_mesh_quantization"), formats=("png", "jpeg", "ktx2")),
    "roblox": Limits(triangles=20_000, hard=True, texture=1024, closed=True),
    "blender": Limits(texture=8192, formats=("png", "jpeg", "webp"), extensions=("KHR_draco_mesh_compression", "EXT_texture_webp")),
    "web": Limits(triangles=20_000, texture=2048, formats=("png", "jpeg", "webp", "ktx2"),
                  extensions=("KHR_draco_mesh_compression", "EXT_meshopt_compression", "KHR_mesh_quantization", "KHR_texture_basisu",
                              "EXT_texture_webp")),
}


def check_encoding(options: AssetOptions, engine: str) -> None:
    """InputError for an encoding that the engine does not read, BackendUnavailable for one whose package is not installed.

    engine : one of `LIMITS`
    """
    limits = LIMITS[engine]
    if engine:
        unread = [name for name in options.encoding.extensions if name not in limits.extensions]
        chosen = [name for name in (options.texture_format, options.compress) if name not in ("png", "none")]
        if unread:
            raise InputError(f"{engine} does not read {' and '.join(unread)}", received=" and ".join(chosen),
                             expected=f"what it reads: {', '.join((*limits.formats, *limits.extensions))}", remedy="leave it out")
    options.encoding.require_packages()
