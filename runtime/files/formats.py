"""Files of meshes by ending."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...engines.errors import OutputError
from ...engines.files.file_set import write_files
from ..geometry.mesh import Mesh
from .gltf.writer import glb_bytes, png_bytes
from .textfiles import mtl_text, obj_text, ply_bytes, stl_bytes

ENDINGS = (".glb", ".obj", ".ply", ".stl")


def save(
    mesh: Mesh, path: str | os.PathLike, extras: Mapping[str, Any] | None = None, *, metres_per_unit: float = 1.0,
) -> list[Path]:
    """Write a mesh in world axes (z up, front +x), in the format that the ending names; overwrites.

    .glb : everything, `extras` in asset.extras
    .obj : if there is a texture, with NAME.mtl and NAME_color.png beside it
    .ply : vertex colours; .stl : triangles alone
    -> the files written, `path` first

    All files appear, or none (`engines.file_set`). OutputError if they cannot be written.
    """
    path = check_output(path)
    files = encode(mesh, path, extras, metres_per_unit)
    write_files(files)
    return list(files)


def check_output(path: str | os.PathLike) -> Path:
    """The path, if a mesh could be saved there: known ending, an existing folder to write to, no folder or device in the way of
    it or its companions.

    Nothing is written. OutputError otherwise. Call it before the work, not after.
    """
    path = Path(path)
    if path.suffix.lower() not in ENDINGS:
        raise OutputError(subject=str(path), received=f"the ending {path.suffix!r}" if path.suffix else "no ending",
                          expected=f"one of {', '.join(ENDINGS)}", remedy="choose a file name with a known ending")
    if not os.path.isdir(path.parent):
        raise OutputError(subject=str(path), received=f"no folder {path.parent}", expected="an existing folder",
                          remedy="create the folder or choose another")
    for target in (path, *companions(path)):
        if os.path.exists(target) and not os.path.isfile(target):
            raise OutputError(subject=str(target), received="a folder" if os.path.isdir(target) else "a device or a pipe",
                              expected="a file name", remedy="choose another name")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OutputError(subject=str(path), received=f"no permission to write in {path.parent}",
                          expected="a folder that can be written", remedy="choose another folder")
    return path


def companions(path: Path) -> tuple[Path, ...]:
    """The files that a mesh with a texture has beside `path`: the material and the picture of an OBJ.

    The picture has a name of its own: a mesh is often called after the picture that it is made from.
    """
    return (path.with_suffix(".mtl"), path.with_name(f"{path.stem}_color.png")) if path.suffix.lower() == ".obj" else ()


def encode(
    mesh: Mesh, path: Path, extras: Mapping[str, Any] | None, metres_per_unit: float,
) -> dict[Path, bytes]:
    """The contents of each file, `path` first."""
    ending = path.suffix.lower()
    if ending == ".glb":
        return {path: glb_bytes(mesh, extras, metres_per_unit=metres_per_unit, name=path.stem)}
    scaled = mesh.replace(vertices=mesh.vertices * mesh.vertices.dtype.type(metres_per_unit))
    if ending == ".ply":
        return {path: ply_bytes(scaled)}
    if ending == ".stl":
        return {path: stl_bytes(scaled)}
    if mesh.texture is None or mesh.uvs is None:
        return {path: obj_text(scaled, None)}
    material, texture = companions(path)
    return {path: obj_text(scaled, material.name), material: mtl_text(texture.name), texture: png_bytes(mesh.texture)}
