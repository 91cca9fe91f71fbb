"""COLLADA files (.dae) through trimesh and pycollada, extras: shapes, colours of materials, the axes and the unit that the file names."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from ...engines.errors import InputError
from ..geometry.shading import to_linear
from .scene.surfaces import Material, Part, Scene, check_corners

ENDINGS = (".dae",)
INSTALL = "pip install 'meshwright[formats]'"
# Rows of the file's axes that become glTF's x, y and z.
UP = {"Y_UP": np.eye(3), "Z_UP": np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]]), "X_UP": np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])}


def read_collada(data: bytes) -> Scene:
    """The scene that is shown, in glTF's axes and metres. Pictures are not read.

    Errors: InputError where trimesh or pycollada is not installed; as of `read_glb`
    """
    try:
        import collada
        import trimesh
    except ImportError as error:
        raise InputError(".dae files are read by other packages", received=str(error), expected="trimesh and pycollada",
                         remedy=INSTALL) from error
    try:
        about = collada.Collada(io.BytesIO(data)).assetInfo
        loaded = trimesh.load_scene(io.BytesIO(data), file_type="dae", process=False)
    except Exception as error:  # what broken files lead to is not one class
        raise ValueError(str(error) or type(error).__name__) from error
    turn, scale = UP.get(str(about.upaxis), UP["Y_UP"]), float(about.unitmeter or 1.0)
    meshes = [mesh for mesh in loaded.dump() if isinstance(mesh, trimesh.Trimesh)]
    parts = [_part(mesh, scale * turn) for mesh in meshes]
    check_corners(sum(part.faces.size for part in parts))
    pictured = any(getattr(_material(mesh), "baseColorTexture", None) is not None or b"<init_from" in data for mesh in meshes)
    return Scene(parts, notices=("pictures of a .dae file are not read: the colours of its materials remain",) if pictured else ())


def _part(mesh: Any, matrix: np.ndarray) -> Part:
    colors, material = None, Material(np.ones(3, np.float32))
    if mesh.visual.kind in ("vertex", "face"):
        colors = to_linear(np.asarray(mesh.visual.vertex_colors, np.float32)[:, :3] / 255).astype(np.float32)
    elif (main := getattr(_material(mesh), "main_color", None)) is not None:
        material = Material(to_linear(np.asarray(main, np.float32)[:3] / 255).astype(np.float32))
    vertices = np.asarray(mesh.vertices, np.float64) @ matrix.T
    return Part(vertices.astype(np.float32), np.ascontiguousarray(mesh.faces, np.int32), material, colors=colors)


def _material(mesh: Any) -> Any:
    return getattr(mesh.visual, "material", None)
