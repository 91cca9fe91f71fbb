"""Parts of a mesh file, each with a material of its own, become one `Mesh` with one texture or with vertex colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...engines.errors import InputError
from ..shading import to_linear, to_srgb
from .mesh import Mesh, area_vectors, normalized

MOST_FACES = 4_000_000
# Sides in pixels: of the picture of one material as it goes into the common texture, and of a material without one.
MOST_TILE, PLAIN_TILE = 1024, 4
# Of the common texture. Where many materials have pictures, each gets a smaller tile.
MOST_TEXELS = 1 << 26
# A picture that repeats more often than this over one part is shown as its mean colour: a repeat would have few pixels left.
MOST_REPEATS = 64


@dataclass(frozen=True, eq=False)
class Material:
    """What is kept of a material: its colour.

    color : (3,) float32, linear light, multiplied into everything else
    picture : (h, w, 3) uint8 sRGB, row 0 at the top, or None
    wrap : what the picture shows outside of [0, 1], across and down: "repeat", "mirror" or "clamp"
    """

    color: np.ndarray
    picture: np.ndarray | None = None
    wrap: tuple[str, str] = ("repeat", "repeat")


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

    def expanded(self) -> Part:
        """The part with three vertices for each face, none of them shared, and none left over."""
        rows = self.faces.ravel()
        normals, uvs, colors = (None if values is None else values[rows] for values in (self.normals, self.uvs, self.colors))
        return Part(self.vertices[rows], np.arange(len(rows), dtype=np.int32).reshape(-1, 3), self.material, normals, uvs, colors)


@dataclass(frozen=True, eq=False)
class Scene:
    """What a mesh file holds, in the file's axes.

    parts : one or more a material
    generator : what wrote the file, "" if it does not say
    notices : what could not be honoured, one sentence each; empty where the file was read as it was meant
    sources : the other files that were read for it: materials, pictures, buffers
    """

    parts: Sequence[Part]
    generator: str = ""
    notices: tuple[str, ...] = ()
    sources: tuple[Path, ...] = ()


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
    part = part.expanded()
    flat = np.repeat(normalized(area_vectors(part.vertices, part.faces)), 3, axis=0)
    if part.normals is None:
        return replace(part, normals=flat)
    given = normalized(part.normals)
    usable = np.isfinite(given).all(axis=1, keepdims=True) & (given != 0).any(axis=1, keepdims=True)
    return replace(part, normals=np.where(usable, given, flat))


def _vertex_colors(part: Part) -> np.ndarray:
    """(n, 3) uint8 sRGB."""
    linear = np.broadcast_to(part.material.color, part.vertices.shape)
    return _bytes(linear if part.colors is None else linear * part.colors)


def _bytes(linear: np.ndarray) -> np.ndarray:
    return np.rint(255 * to_srgb(np.nan_to_num(linear).clip(0, 1))).astype(np.uint8)


@dataclass(frozen=True)
class _Look:
    """What a tile of the common texture shows: one colour (red, green, blue, 0 to 255), or a material's picture so many times
    (across, down). Parts that look the same share a tile."""

    color: tuple[int, int, int] | None = None
    material: Material | None = None
    repeats: tuple[int, int] = (1, 1)


def _atlas(parts: Sequence[Part]) -> tuple[np.ndarray, np.ndarray]:
    """The parts' pictures side by side: uvs (n, 2) float32 in [0, 1], texture (h, w, 3) uint8."""
    looks = [_look(part) for part in parts]
    different = dict.fromkeys(look for look, _ in looks)
    most = min(MOST_TILE, math.isqrt(MOST_TEXELS // len(different)))
    tiles = {look: _tile(look, most) for look in different}
    lefts = dict(zip(tiles, np.cumsum([0, *(tile.shape[1] for tile in tiles.values())]), strict=False))
    texture = np.zeros((max(tile.shape[0] for tile in tiles.values()), sum(tile.shape[1] for tile in tiles.values()), 3), np.uint8)
    for look, tile in tiles.items():
        texture[:tile.shape[0], lefts[look]:lefts[look] + tile.shape[1]] = tile
    uvs = []
    for look, local in looks:
        size = np.array(tiles[look].shape[1::-1])
        # Half a pixel inside of the tile, so that the next one does not bleed in.
        uvs.append((np.clip(local * size, 0.5, size - 0.5) + [lefts[look], 0]) / texture.shape[1::-1])
    return np.concatenate(uvs).astype(np.float32), texture


def _look(part: Part) -> tuple[_Look, np.ndarray]:
    """What the part shows, and the place of each vertex in a picture of that, (n, 2) in [0, 1]."""
    picture = part.material.picture
    middle = np.full((len(part.vertices), 2), 0.5)
    if part.uvs is None or picture is None:
        return _plain(_vertex_colors(part)), middle
    uvs = _wrapped(part.uvs)
    repeats = np.maximum(np.ceil(np.nan_to_num(uvs).max(axis=0, initial=0.0) - 1e-6), 1).clip(0, MOST_REPEATS + 1).astype(int)
    if not np.isfinite(uvs).all() or repeats.max() > MOST_REPEATS:
        return _plain(_tinted(picture.reshape(-1, 1, 3).mean(axis=0, keepdims=True), part.material)), middle
    return _Look(material=part.material, repeats=(int(repeats[0]), int(repeats[1]))), uvs / repeats


def _plain(colors: np.ndarray) -> _Look:
    """The mean of (..., 3)."""
    red, green, blue = np.rint(colors.reshape(-1, 3).mean(axis=0)).astype(int).tolist()
    return _Look((red, green, blue))


def _tile(look: _Look, most: int) -> np.ndarray:
    """(h, w, 3) uint8: the picture of it, each side at most `most` pixels, but for one that repeats more often than that."""
    if look.material is None:
        return np.full((PLAIN_TILE, PLAIN_TILE, 3), look.color, np.uint8)
    once = _tinted(_small(look.material.picture, max(1, most // max(look.repeats))), look.material)
    return np.tile(once, (look.repeats[1], look.repeats[0], 1))


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
