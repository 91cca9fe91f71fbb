"""Parts of a mesh file, each with a material of its own, become one `Mesh` with one texture or with vertex colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...geometry.mesh import Mesh, area_vectors, normalized
from .surfaces import Part, srgb_bytes
from .tiles import common_texture


def joined(parts: Sequence[Part]) -> Mesh:
    """One mesh, every corner of every face a vertex of its own, so that neither creases nor seams are lost.

    Where a part has a picture the mesh has a texture, and vertex colours only if a part has some; else it has vertex colours.
    """
    corners = [_corners(part) for part in parts]
    vertices = np.concatenate([part.vertices for part in corners])
    normals = np.concatenate([part.normals for part in corners])
    faces = np.arange(len(vertices), dtype=np.int32).reshape(-1, 3)
    mesh = Mesh(np.ascontiguousarray(vertices, np.float32), faces, np.ascontiguousarray(normals, np.float32))
    pictured = [part.uvs is not None and part.material.picture is not None for part in corners]
    if not any(pictured):
        return mesh.replace(colors=np.concatenate([_vertex_colors(part, part.material.color) for part in corners]))
    uvs, texture = common_texture(corners)
    # The texture holds the colours of the materials, but for a part whose picture is a white tile below its vertex colours.
    white = np.ones(3, np.float32)
    colors = np.concatenate([_vertex_colors(part, white if has_picture or part.colors is None else part.material.color)
                             for part, has_picture in zip(corners, pictured, strict=True)])
    return mesh.replace(uvs=uvs, texture=texture, colors=None if (colors == 255).all() else colors)


def _corners(part: Part) -> Part:
    """The part with three vertices a face and with normals."""
    part = part.expanded()
    flat = np.repeat(normalized(area_vectors(part.vertices, part.faces)), 3, axis=0)
    if part.normals is None:
        return replace(part, normals=flat)
    given = normalized(part.normals)
    usable = np.isfinite(given).all(axis=1, keepdims=True) & (given != 0).any(axis=1, keepdims=True)
    return replace(part, normals=np.where(usable, given, flat))


def _vertex_colors(part: Part, color: np.ndarray) -> np.ndarray:
    """(n, 3) uint8 sRGB: the vertex colours of a part, multiplied by a colour."""
    linear = np.broadcast_to(color, part.vertices.shape)
    return srgb_bytes(linear if part.colors is None else linear * part.colors)
