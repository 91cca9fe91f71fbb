"""What a result says of the pictures and the mesh that it was made from."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from .geometry.mesh import Mesh
from .images.pictures import Picture
from .request import Request


def given(request: Request) -> dict[str, Any]:
    """The pictures and the mesh of a request by their hashes: plain JSON, empty for a prompt alone."""
    found: dict[str, Any] = {name: _picture(picture) for name in ("image", "control") if (picture := getattr(request, name))}
    if request.image is not None:
        found["matte"] = request.matte if request.matte_picture is None else _picture(request.matte_picture)
    if request.views:
        found["views"] = [{"azimuth": azimuth, **_picture(picture)} for azimuth, picture in request.views]
    if request.mesh is not None:
        mesh, placement = request.mesh.mesh, request.mesh.placement
        found["refined_from"] = {"sha256": mesh_hash(mesh), "vertices": len(mesh.vertices), "faces": len(mesh.faces),
                                 **({} if placement is None else {"placement": placement.describe()})}
    return found


def mesh_hash(mesh: Mesh) -> str:
    """Hexadecimal SHA-256 of what a mesh looks like: its arrays, with their names and shapes."""
    digest = hashlib.sha256()
    for name in ("vertices", "faces", "uvs", "texture", "colors"):
        values = getattr(mesh, name)
        if values is not None:
            digest.update(f"{name} {values.dtype} {values.shape}".encode())
            digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def _picture(picture: Picture) -> dict[str, Any]:
    return {"sha256": picture.sha256, "width": picture.width, "height": picture.height}
