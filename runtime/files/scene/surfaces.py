"""What a mesh file holds: parts, each with a material of its own, and what can be done with their colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ....engines.errors import InputError
from ...geometry.shading import to_linear, to_srgb, to_uint8
from ...images.pictures import resized

MAX_FACES = 4_000_000
# Side in pixels of the picture of one material as it goes into the common texture.
MAX_TILE = 1024
# Of the common texture. Where many materials have pictures, each gets a smaller tile.
MAX_TEXELS = 1 << 26


@dataclass(frozen=True, eq=False)
class Material:
    """What is kept of a material: its colour.

    color : (3,) float32, linear light, multiplied into everything else; what the product has above 1 is cut
    picture : (h, w, 3) uint8 sRGB, row 0 at the top, or None
    wrap : what the picture shows outside of [0, 1], across and down: "repeat", "mirror" or "clamp"
    nearest : whether its pixels are squares with edges, as in pixel art, and not blended into each other
    """

    color: np.ndarray
    picture: np.ndarray | None = None
    wrap: tuple[str, str] = ("repeat", "repeat")
    nearest: bool = False


WHITE = Material(np.ones(3, np.float32))


@dataclass(frozen=True, eq=False)
class Part:
    """Triangles of one material, in any axes.

    vertices : (n, 3) float32, or float64 where they lie so far out that float32 would spoil their shape; faces : (m, 3) int32
    normals : (n, 3) float32, or None for flat faces
    uvs : (n, 2) float32, origin at the top left, outside of [0, 1] as the material's wrap says, or None
    colors : (n, 3) float32, linear light, multiplied into the material's colour and picture, or None
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
    if count > 3 * MAX_FACES:
        raise InputError("the mesh has too many triangles", received=f"more than {MAX_FACES:,}", expected=f"at most {MAX_FACES:,}",
                         remedy="decimate it first")


def summed(first: Material, second: Material) -> Material:
    """A material of the light of both. Where both have pictures, these lie over each other in the same way."""
    if first.picture is None and second.picture is None:
        return Material(first.color + second.color)
    size = max((m.picture.shape[1::-1] for m in (first, second) if m.picture is not None), key=math.prod)
    light = _light(first, size) + _light(second, size)
    shown = first if first.picture is not None else second
    return Material(np.ones(3, np.float32), srgb_bytes(light), shown.wrap, shown.nearest)


def srgb_bytes(linear: np.ndarray) -> np.ndarray:
    """(..., 3) uint8 sRGB of linear light; what is beyond 1 is cut."""
    return to_uint8(to_srgb(np.nan_to_num(linear).clip(0, 1)))


def tinted(picture: np.ndarray, color: np.ndarray) -> np.ndarray:
    """(h, w, 3) uint8 sRGB: a picture of that kind, multiplied by a colour (3,) of linear light."""
    if (color == 1).all():
        return picture
    return srgb_bytes(to_linear(picture.astype(np.float32) / 255) * color)


def downscaled(picture: np.ndarray, max_size: int) -> np.ndarray:
    """The picture, its longer side at most `max_size` pixels."""
    scale = max_size / max(picture.shape[:2])
    if scale >= 1:
        return picture
    height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
    return resized(picture, height, width, "box")


def _light(material: Material, size: tuple[int, int]) -> np.ndarray:
    """(h, w, 3) float32, linear: a material's picture times its colour, resized to (width, height)."""
    if material.picture is None:
        return np.broadcast_to(material.color, (size[1], size[0], 3))
    return to_linear(resized(material.picture, size[1], size[0], "box").astype(np.float32) / 255) * material.color
