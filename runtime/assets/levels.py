"""Levels of detail: each decimated from the full surface, unwrapped and baked anew, so that no level inherits another's faults."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from ..geometry.creases import split_at_creases
from ..geometry.decimate import MIN_FACES, decimate
from ..geometry.distance import deviation
from ..geometry.mesh import Mesh
from ..geometry.shading import to_uint8
from ..geometry.topology import is_watertight, split_non_manifold_edges
from ..texture.unwrap import unwrap
from .look import Source, painted
from .surface_maps import normal_map, occlusion_map, tangents

MIN_TEXTURE = 64


@dataclass(frozen=True, eq=False)
class Level:
    """One level of detail.

    mesh : with normals; with uvs and a texture where the asset has colours
    mean_error, largest_error : distance from the full surface and back, as shares of its longest side, measured at points spread
        evenly over both; never too small at those points
    normal_map, tangents, occlusion : as in `files.gltf.writer.Model`, or None
    """

    mesh: Mesh = field(repr=False)
    mean_error: float
    largest_error: float
    watertight: bool
    normal_map: np.ndarray | None = field(default=None, repr=False)
    tangents: np.ndarray | None = field(default=None, repr=False)
    occlusion: np.ndarray | None = field(default=None, repr=False)

    def describe(self) -> dict[str, object]:
        """Plain JSON."""
        texture = None if self.mesh.texture is None else len(self.mesh.texture)
        return {"triangles": len(self.mesh.faces), "texture": texture, "watertight": self.watertight,
                "error": {"mean": round(self.mean_error, 6), "largest": round(self.largest_error, 6)}}


def level_of(mesh: Mesh, shape: Mesh) -> Level:
    """A finished mesh as a level of the full surface `shape`."""
    mean, largest = deviation(mesh, shape)
    size = float(np.ptp(shape.bounds, axis=0).max()) or 1.0
    return Level(mesh, mean / size, largest / size, is_watertight(mesh))


def make_level(shape: Mesh, look: Source | None, faces: int, texture: int, textured: bool = True, quads: Mesh | None = None) -> Level:
    """The full surface with at most so many triangles.

    shape : vertices welded
    look : whose colours it gets; None leaves it without a texture
    texture : pixels along the side, a power of two
    quads : the full surface as quads, which is then not decimated
    textured : False puts the colours at the vertices
    """
    light = decimate(shape, max(faces, MIN_FACES)) if quads is None else quads
    # Where thin parts fold onto one another in an open mesh, for which `decimate` does not look.
    light = split_at_creases(split_non_manifold_edges(light) if quads is None and len(light.faces) < len(shape.faces) else light)
    if look is None:
        return level_of(light, shape)
    if not textured:
        normals = light.vertex_normals() if light.normals is None else light.normals
        return level_of(light.replace(colors=to_uint8(look.colors(light.vertices, normals))), shape)
    mesh = unwrap(light, texture).mesh
    painting = painted(mesh, texture, lambda atlas: look.colors(atlas.position, atlas.normal))
    return level_of(mesh.replace(texture=painting), shape)


def with_maps(level: Level, shape: Mesh, side: int, *, normals: bool, occlusion: bool) -> Level:
    """The level with textures of the full surface: its normals, ambient occlusion, or both. It is unwrapped first if it is not."""
    if not normals and not occlusion:
        return level
    mesh = level.mesh if level.mesh.uvs is not None else unwrap(level.mesh, side).mesh
    tangent = tangents(mesh) if normals else None
    return replace(level, mesh=mesh, tangents=tangent, normal_map=None if tangent is None else normal_map(mesh, tangent, shape, side),
                   occlusion=occlusion_map(mesh, shape, side) if occlusion else None)


def texture_side(finest: int, share: float) -> int:
    """The texture of a level with that share of the finest one's triangles: texels in proportion, rounded up to a power of two."""
    side = finest
    while side // 2 >= MIN_TEXTURE and (side // 2) ** 2 >= share * finest**2:
        side //= 2
    return side
