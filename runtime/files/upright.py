"""PLY, STL, OFF and 3MF files through trimesh, an extra: formats that printing and scanning tools read as z up, front -y."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from ...engines.errors import InputError
from ..geometry.shading import to_linear
from .scene.surfaces import Part, Scene, check_corners

ENDINGS = (".ply", ".stl", ".off", ".3mf")
INSTALL = "pip install 'meshwright[formats]'"


def read_upright(data: bytes, ending: str) -> Scene:
    """All meshes of the file, in glTF's axes, with their vertex colours.

    ending : one of `ENDINGS`. Errors: InputError where trimesh, or what it needs for the format, is not installed; as of `read_glb`
    """
    try:
        import trimesh

        loaded = trimesh.load_scene(io.BytesIO(data), file_type=ending[1:], process=False)
    except ImportError as error:
        raise InputError(f"{ending} files are read by another package", received=str(error), expected="trimesh", remedy=INSTALL) from error
    parts = [_part(mesh) for mesh in loaded.dump() if isinstance(mesh, trimesh.Trimesh)]
    check_corners(sum(part.faces.size for part in parts))
    return Scene(parts, notices=(f"{ending} says nothing of axes: z is taken for up and -y for the front",))


def _part(mesh: Any) -> Part:
    colors = None
    if mesh.visual.kind in ("vertex", "face"):
        colors = to_linear(np.asarray(mesh.visual.vertex_colors, np.float32)[:, :3] / 255).astype(np.float32)
    upright = np.asarray(mesh.vertices, np.float64)
    return Part((upright[:, [0, 2, 1]] * [1, 1, -1]).astype(np.float32), np.ascontiguousarray(mesh.faces, np.int32), colors=colors)
