"""Parts of a mesh file, each with a material of its own, become one `Mesh` with one texture or with vertex colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...engines.errors import InputError
from ..shading import to_linear, to_srgb
from .mesh import Mesh, area_vectors, normalized

MOST_FACES = 4_000_000
# Sides in pixels: of the picture of one material as it goes into the common texture, and of a material without one.
MOST_TILE, PLAIN_TILE = 1024, 4
# A picture that repeats more often than this over one part is shown as its mean colour: a repeat would have few pixels left.
MOST_REPEATS = 64


@dataclass(frozen=True, eq=False)
class Material:
    """What is kept of a material: its colour.

    color : (3,) float32, linear light, multiplied into everything else
    picture : (h, w, 3) uint8 sRGB, row 0 at the top, or None
    """

    color: np.ndarray
    picture: np.ndarray | None = None


WHITE = Material(np.ones(3, np.float32))


@dataclass(frozen=True, eq=False)
class Part:
    """Triangles of one material, in any axes.

    vertices : (n, 3) float32; faces : (m, 3) int32
    normals : (n, 3) float32, or None for flat faces
    uvs : (n, 2) float32, origin at the top left, repeating outside of [0, 1], or None
    colors : (n, 3) float32, linear light, or None
    """

    vertices: np.ndarray
    faces: np.ndarray
    material: Material = WHITE
    normals: np.ndarray | None = None
    uvs: np.ndarray | None = None
    colors: np.ndarray | None = None


def check_corners(count: int) -> None:
    """InputError if that many corners of triangles are more than are read."""
    if count > 3 * MOST_FACES:
        raise InputError("the mesh has too many triangles", received=f"more than {MOST_FACES:,}", expected=f"at most {MOST_FACES:,}",
                         remedy="decimate it first")


def joined(parts: Sequence[Part]) -> Mesh:
    """One mesh, every corner of every face a vertex of its own, so that neither creases nor seams are lost.

    Where a part has a picture the mesh has a texture, and vertex colours count as their mean; else it has vertex colours.
    """
    corners = [_corners(part) for part in parts]
    vertices = np.concatenate([part.vertices for part in corners])
    normals = np.concatenate([part.normals for part in corners])
    faces = np.arange(len(vertices), dtype=np.int32).reshape(-1, 3)
    mesh = Mesh(np.ascontiguousarray(vertices, np.float32), faces, np.ascontiguousarray(normals, np.float32))
    if any(part.uvs is not None and part.material.picture is not None for part in corners):
        uvs, texture = _atlas(corners)
        return mesh.replace(uvs=uvs, texture=texture)
    return mesh.replace(colors=np.concatenate([_vertex_colors(part) for part in corners]))


def _corners(part: Part) -> Part:
    """The part with three vertices a face and with normals."""
    rows = part.faces.ravel()
    vertices = part.vertices[rows]
    flat = np.repeat(normalized(area_vectors(part.vertices, part.faces)), 3, axis=0)
    if part.normals is None:
        normals = flat
    else:
        given = normalized(part.normals[rows])
        usable = np.isfinite(given).all(axis=1, keepdims=True) & (given != 0).any(axis=1, keepdims=True)
        normals = np.where(usable, given, flat)
    return Part(vertices, np.arange(len(rows), dtype=np.int32).reshape(-1, 3), part.material, normals,
                None if part.uvs is None else part.uvs[rows], None if part.colors is None else part.colors[rows])


def _vertex_colors(part: Part) -> np.ndarray:
    """(n, 3) uint8 sRGB."""
    linear = np.broadcast_to(part.material.color, part.vertices.shape)
    return _bytes(linear if part.colors is None else linear * part.colors)


def _bytes(linear: np.ndarray) -> np.ndarray:
    return np.rint(255 * to_srgb(np.nan_to_num(linear).clip(0, 1))).astype(np.uint8)


def _atlas(parts: Sequence[Part]) -> tuple[np.ndarray, np.ndarray]:
    """The parts' pictures side by side: uvs (n, 2) float32 in [0, 1], texture (h, w, 3) uint8."""
    placed = [_tile(part) for part in parts]
    height = max(tile.shape[0] for tile, _ in placed)
    width = sum(tile.shape[1] for tile, _ in placed)
    texture, uvs, left = np.zeros((height, width, 3), np.uint8), [], 0
    for tile, local in placed:
        texture[:tile.shape[0], left:left + tile.shape[1]] = tile
        # Half a pixel inside of the tile, so that the next one does not bleed in.
        inside = np.clip(local * tile.shape[1::-1], 0.5, np.array(tile.shape[1::-1]) - 0.5)
        uvs.append((inside + [left, 0]) / [width, height])
        left += tile.shape[1]
    return np.concatenate(uvs).astype(np.float32), texture


def _tile(part: Part) -> tuple[np.ndarray, np.ndarray]:
    """A picture (h, w, 3) uint8 that shows the part's colours, and the place of each vertex in it, (n, 2) in [0, 1]."""
    picture = part.material.picture
    middle = np.full((len(part.vertices), 2), 0.5)
    if part.uvs is None or picture is None:
        color = _vertex_colors(part).reshape(-1, 3).mean(axis=0) if len(part.vertices) else np.zeros(3)
        return np.full((PLAIN_TILE, PLAIN_TILE, 3), np.rint(color), np.uint8), middle
    uvs = _wrapped(part.uvs)
    repeats = np.maximum(np.ceil(np.nan_to_num(uvs).max(axis=0, initial=0.0) - 1e-6), 1).clip(0, MOST_REPEATS + 1).astype(int)
    if not np.isfinite(uvs).all() or repeats.max() > MOST_REPEATS:
        color = _tinted(picture.reshape(-1, 1, 3).mean(axis=0, keepdims=True), part.material)
        return np.tile(color, (PLAIN_TILE, PLAIN_TILE, 1)), middle
    once = _small(_tinted(picture, part.material), MOST_TILE // int(repeats.max()))
    return np.tile(once, (repeats[1], repeats[0], 1)), uvs / repeats


def _wrapped(uvs: np.ndarray) -> np.ndarray:
    """(n, 2), not negative: each face moved by whole periods to where its lowest corner is in [0, 1)."""
    faces = uvs.reshape(-1, 3, 2).astype(np.float64)
    lowest = faces.min(axis=1, keepdims=True)
    # A corner at exactly 1 belongs to the period below, whose other corners it goes with.
    return (faces - np.floor(lowest + 1e-9)).reshape(-1, 2).clip(0, None)


def _tinted(picture: np.ndarray, material: Material) -> np.ndarray:
    """(h, w, 3) uint8: the picture in the material's colour."""
    if (material.color == 1).all():
        return picture.astype(np.uint8)
    return _bytes(to_linear(picture.astype(np.float32) / 255) * material.color)


def _small(picture: np.ndarray, most: int) -> np.ndarray:
    """The picture, its longer side at most `most` pixels."""
    from PIL import Image

    scale = most / max(picture.shape[:2])
    if scale >= 1:
        return picture
    size = tuple(max(1, round(side * scale)) for side in picture.shape[1::-1])
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))
